#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "base/index.h"
#include "tensor/execution.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"

namespace troupe::experts {

[[nodiscard]] inline std::span<float> row(TensorView matrix, std::int64_t index) {
  return matrix.rows(index, 1).floats();
}
[[nodiscard]] inline std::span<const float> row(ConstTensorView matrix, std::int64_t index) {
  return matrix.rows(index, 1).floats();
}
/// A token's slots of a [tokens, slots] i32 matrix.
[[nodiscard]] inline std::span<std::int32_t> ids(TensorView matrix, std::int64_t token) {
  return {matrix.i32() + token * matrix.columns(), at(matrix.columns())};
}
[[nodiscard]] inline std::span<const std::int32_t> ids(ConstTensorView matrix, std::int64_t token) {
  return {matrix.i32() + token * matrix.columns(), at(matrix.columns())};
}

inline constexpr std::int64_t kTokenBlock = 64;

[[nodiscard]] inline std::int64_t token_blocks(std::int64_t tokens) {
  return (tokens + kTokenBlock - 1) / kTokenBlock;
}

/// Calls body(token, block) for all tokens, blocks of kTokenBlock split over threads.
template <class Body>
void for_tokens(const Execution& execution, std::int64_t tokens, const Body& body) {
  parallel_for(execution, token_blocks(tokens), [&](std::int64_t block) {
    const std::int64_t end = std::min(tokens, (block + 1) * kTokenBlock);
    for (std::int64_t token = block * kTokenBlock; token < end; ++token) body(token, block);
  });
}

}  // namespace troupe::experts
