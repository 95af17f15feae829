#pragma once
// Private to workers/routing/*.cpp: names and hashes inside a recording's files.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "workers/routing/routing_files.h"

namespace troupe::workers::detail {

inline constexpr const char* kSequences = "sequences";
inline constexpr const char* kHashes = "hashes";
inline constexpr const char* kBatchSequences = "batch_sequences";
inline constexpr const char* kSequenceLength = "sequence_length";
inline constexpr const char* kSeed = "seed";
inline constexpr const char* kCorpus = "corpus";
inline constexpr const char* kOrder = "order";
inline constexpr const char* kContentHash = "content_hash";

[[nodiscard]] std::string layer_dataset(std::int64_t layer);

/// Of one sequence in one layer. slots: [sequence_length, slots]
[[nodiscard]] std::int64_t slots_hash(std::span<const std::int32_t> slots);

/// What a file says besides the choices, which count by their hashes.
struct FileHead {
  std::int64_t step = 0;
  std::int64_t batch_sequences = 0;
  std::int64_t sequence_length = 0;
  RoutingOrigin origin;
  std::vector<std::int64_t> sequences;  // [sequences]
  std::vector<std::int64_t> hashes;     // [layers, sequences]
};

/// 32 hexadecimal digits over all of it.
[[nodiscard]] std::string content_hash(const FileHead& head);

}  // namespace troupe::workers::detail
