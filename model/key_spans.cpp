#include "model/key_spans.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"

namespace troupe::model {

std::int32_t KeySpan::first_visible(std::int64_t place, std::int32_t document_begin,
                                    std::int32_t position) const {
  std::int64_t first = document_begin;
  if (window > 0) first = std::max(first, place - window + 1);
  if (chunk > 0) first = std::max(first, place - position % chunk);
  return static_cast<std::int32_t>(first);
}

std::int64_t KeySpan::positions(std::int64_t context) const {
  if (window > 0) context = std::min(context, window);
  if (chunk > 0) context = std::min(context, chunk);
  return context;
}

double KeySpan::most_keys() const {
  const double in_chunk = static_cast<double>(chunk + 1) / 2.0;
  if (window == 0) return chunk == 0 ? 0.0 : in_chunk;
  return chunk == 0 ? static_cast<double>(window) : std::min(static_cast<double>(window), in_chunk);
}

KeySpans::KeySpans(std::span<const LayerSpec> layers) {
  for (const LayerSpec& layer : layers) {
    const KeySpan span(layer.mixer);
    if (span != KeySpan() && std::ranges::find(spans_, span) == spans_.end()) spans_.push_back(span);
  }
}

std::size_t KeySpans::number_of(const AttentionOptions& mixer) const {
  const KeySpan span(mixer);
  if (span == KeySpan()) return 0;
  const auto found = std::ranges::find(spans_, span);
  TROUPE_CHECK(found != spans_.end(), "no layer has a window of {} and chunks of {}", span.window,
               span.chunk);
  return at(found - spans_.begin()) + 1;
}

void KeySpans::append(const MicrobatchInput& input, std::vector<std::int32_t>& values) const {
  const std::int64_t tokens = spans_.empty() ? 0 : input.first_visible.elements();
  for (const KeySpan& span : spans_) {
    for (std::int64_t t = 0; t < tokens; ++t) {
      values.push_back(span.first_visible(t % input.sequence_length, input.first_visible.i32()[t],
                                          input.positions.i32()[t]));
    }
  }
}

void KeySpans::append_cached(std::span<const std::int32_t> positions,
                             std::vector<std::int32_t>& values) const {
  for (const KeySpan& span : spans_) {
    for (const std::int32_t position : positions) values.push_back(span.first_visible(position, 0, position));
  }
}

}  // namespace troupe::model
