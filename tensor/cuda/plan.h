#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

inline constexpr std::int64_t kPairsOfChunk = 256;
inline constexpr std::int64_t kMostExperts = 1024;

/// Chunks of (token, slot) pairs that plan() counts by.
[[nodiscard]] std::int64_t plan_chunks(std::int64_t pairs);

/// Sorts a microbatch's (token, slot) pairs by expert, in the order that `order` gives, and by number inside
/// an expert: stable, by counting. Reference: experts/dispatch/dispatch_plan.cpp.
///   dispatched: [tokens, slots], expert or -1; order: [experts], every expert once; null:
///   ascending
///   counts: [experts], pairs of each expert; first_row: [experts], of its first row
///   tokens, pairs: [tokens * slots], token and pair of each row, the first Σ counts are written
///   slots: [tokens, slots], row of each pair, -1 where there is none
///   tokens and slots may be null: not wanted
///   chunk_counts: [experts, plan_chunks(pairs)], scratch
struct PlanArguments {
  const std::int32_t* dispatched;
  std::int64_t token_count;
  std::int64_t slot_count;
  const std::int32_t* order;
  std::int64_t experts;  // at most kMostExperts
  std::int32_t* counts;
  std::int32_t* first_row;
  std::int32_t* tokens;
  std::int32_t* pairs;
  std::int32_t* slots;
  std::int32_t* chunk_counts;
};
void plan(Stream stream, const PlanArguments& arguments);

}  // namespace troupe::cuda
