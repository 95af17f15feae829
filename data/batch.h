#pragma once
#include <cstdint>
#include <vector>

namespace troupe::data {

/// Target of a position that is not predicted: no loss.
inline constexpr std::int32_t kMaskedTarget = -1;

/// Two answers to one prompt, as they lie in sequences: the chosen half is [chosen, rejected), the rejected
/// one [rejected, end), counted over all sequences.
struct PlacedPair {
  std::int64_t number = 0;  // in the file
  std::int64_t chosen = 0;
  std::int64_t rejected = 0;
  std::int64_t end = 0;
  bool operator==(const PlacedPair&) const = default;
};

/// Sequences ready for a model. Every array: [count * length], row-major.
struct Sequences {
  std::int64_t count = 0;
  std::int64_t length = 0;
  std::vector<std::int32_t> tokens;   // ids
  std::vector<std::int32_t> targets;  // id of the next token, or kMaskedTarget
  /// 0 ≤ · < length. With the document mask it restarts at each document of the sequence (a document
  /// that began before the sequence starts at 0); without, it is the position in the sequence.
  std::vector<std::int32_t> positions;
  /// First position of the same sequence that this one sees: where its document begins in the
  /// sequence, or 0 without the document mask. Non-decreasing along a sequence.
  std::vector<std::int32_t> first_visible;
  std::vector<std::int32_t> domains;  // domain of the target's document, also where it is masked
  std::vector<PlacedPair> pairs;      // of preferences only, ascending
};

}  // namespace troupe::data
