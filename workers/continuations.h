#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"

namespace troupe::workers {

/// Sequences that are written on together, and what may follow each. Collective over the expert group of
/// worker 0, whose ranks all say what is added; only worker 0 has the tokens and gets logits.
class Continuations {
 public:
  virtual ~Continuations() = default;

  /// A sequence can have no more tokens.
  [[nodiscard]] virtual std::int64_t capacity() const = 0;
  /// Adds at most lengths[i] tokens to sequence i: tokens[i], on worker 0.
  virtual void add(std::span<const std::int64_t> lengths,
                   std::span<const std::vector<std::int32_t>> tokens) = 0;
  /// The sequence is empty again.
  virtual void clear(std::size_t sequence) = 0;
  /// [vocab], of what follows a sequence to which tokens were just added.
  [[nodiscard]] virtual std::span<const float> logits(std::size_t sequence) const = 0;
};

/// With a cache of keys and values: every token goes through the model once.
///   capacity: of a sequence; tokens: that are added at once, about
[[nodiscard]] std::unique_ptr<Continuations> make_cached_continuations(model::Model& model,
                                                                       std::int64_t sequences,
                                                                       std::int64_t capacity,
                                                                       std::int64_t tokens);

/// By a pass of the training shape over all of a sequence, for each that is added to: for devices, which have
/// no cache yet.
[[nodiscard]] std::unique_ptr<Continuations> make_recomputed_continuations(model::Model& model,
                                                                           std::int64_t sequences);

}  // namespace troupe::workers
