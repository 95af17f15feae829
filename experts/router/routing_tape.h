#pragma once
#include <cstdint>
#include <span>

#include "base/index.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// A layer's part of [layers, …]; of nothing, nothing.
template <class T>
[[nodiscard]] std::span<T> layer_part(std::span<T> all, std::int64_t index, std::int64_t layers) {
  const std::size_t size = all.size() / at(layers);
  return all.subspan(at(index) * size, size);
}

/// Choices of a microbatch that are kept, or that were kept and are followed. Empty: not asked for. A slot
/// holds the chosen expert's id, -1 where it is empty, and -2 - id where an expert was a candidate, so that
/// the others are weighed beside it, but was left out.
struct RoutingTape {
  std::span<std::int32_t> record;        // [moe layers, tokens, slots]; of one layer: [tokens, slots]
  std::span<const std::int32_t> replay;  // the same

  /// The part of one MoE layer among `layers`.
  [[nodiscard]] RoutingTape layer(std::int64_t index, std::int64_t layers) const;
};

/// Keeps a layer's choices where the tape records. candidates, chosen: [tokens, slots] i32, may be one
/// tensor. Both functions throw kInternal when the tape is of another size.
void record_choices(ConstTensorView candidates, ConstTensorView chosen, const RoutingTape& tape);

/// Overwrites a layer's candidates and choices with recorded ones.
void replay_choices(const RoutingTape& tape, TensorView candidates, TensorView chosen);

}  // namespace troupe::experts
