#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "layers/microbatch.h"
#include "model/layer_spec.h"

namespace troupe::model {

/// How far back queries see: 0 is as far as their document goes.
struct KeySpan {
  std::int64_t window = 0;  // this many keys, their own among them
  std::int64_t chunk = 0;   // their own chunk, the document cut into ones of this length

  KeySpan() = default;
  /// With a stride a query sees keys before its window, too.
  explicit KeySpan(const AttentionOptions& mixer)
      : window(mixer.stride > 0 ? 0 : mixer.window), chunk(mixer.chunk) {}
  bool operator==(const KeySpan&) const = default;

  /// The first position that the token at `place` of its sequence sees.
  [[nodiscard]] std::int32_t first_visible(std::int64_t place, std::int32_t document_begin,
                                           std::int32_t position) const;
  /// At most this many positions of `context` are seen by one query.
  [[nodiscard]] std::int64_t positions(std::int64_t context) const;
  /// At most this many keys of a query, on average; 0: no bound.
  [[nodiscard]] double most_keys() const;
};

/// The spans of a model's mixers that are shorter than a document. A mixer goes by its span's number: 0 is
/// the whole document, microbatch.first_visible, and i the span i - 1 below.
class KeySpans {
 public:
  explicit KeySpans(std::span<const LayerSpec> layers);

  [[nodiscard]] std::int64_t count() const { return std::ssize(spans_); }
  [[nodiscard]] std::size_t number_of(const AttentionOptions& mixer) const;
  /// first_visible of every token, for each span: [count, tokens], appended to `values`. On the host.
  void append(const MicrobatchInput& input, std::vector<std::int32_t>& values) const;
  /// The same of tokens at these positions of sequences that are one document each.
  void append_cached(std::span<const std::int32_t> positions, std::vector<std::int32_t>& values) const;

 private:
  std::vector<KeySpan> spans_;
};

/// What a mixer of this span's number is masked by.
[[nodiscard]] inline ConstTensorView first_visible(const MicrobatchInput& input, std::size_t span) {
  return span == 0 ? input.first_visible : input.spans[span - 1];
}

}  // namespace troupe::model
