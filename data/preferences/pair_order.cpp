#include "data/preferences/pair_order.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"
#include "data/permutation.h"

namespace troupe::data {
namespace {

constexpr std::uint16_t kPairs = 0xFFFD;  // pools that no domain has
constexpr std::uint16_t kPairSequences = 0xFFFC;
constexpr std::size_t kOpenSequences = 64;  // that a pair is tried in: packing takes linear time

/// A sequence that is being packed.
struct Open {
  std::int64_t room = 0;
  std::vector<std::int64_t> pairs = {};
};

}  // namespace

std::int64_t half_tokens(const TokenDataset& dataset, std::int64_t document) {
  return dataset.document(document).count + (dataset.header().begin_of_text == kNoToken ? 1 : 0);
}

PairOrder::PairOrder(const TokenDataset& dataset, std::int64_t length, std::uint64_t seed)
    : seed_(seed), pair_count_(dataset.document_count() / 2), begins_{0} {
  if (!dataset.header().pairs) {
    throw Error(ErrorCode::kConfig,
                "{} has no preferences: prepare them with `troupe data prepare PAIRS.jsonl --preferences "
                "TEMPLATE`",
                dataset.path().string());
  }
  pack(dataset, length);
  if (!pairs_.empty()) return;
  throw Error(
      ErrorCode::kConfig,
      "{}: none of its {} pairs fits into a sequence of {} tokens, which holds both halves: use a larger "
      "data.sequence_length",
      dataset.path().string(), pair_count_, length);
}

void PairOrder::pack(const TokenDataset& dataset, std::int64_t length) {
  std::vector<Open> open;
  const auto close = [&](std::size_t index) {
    pairs_.insert(pairs_.end(), open[index].pairs.begin(), open[index].pairs.end());
    begins_.push_back(std::ssize(pairs_));
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(index));
  };
  for (std::int64_t i = 0; i < pair_count_; ++i) {
    const std::int64_t pair = permute({.seed = seed_, .stream = 0, .pool = kPairs}, pair_count_, i);
    const std::int64_t tokens = half_tokens(dataset, 2 * pair) + half_tokens(dataset, 2 * pair + 1);
    if (tokens > length) continue;
    auto found = std::ranges::find_if(open, [&](const Open& one) { return one.room >= tokens; });
    if (found == open.end()) {
      if (open.size() == kOpenSequences) close(0);
      open.push_back({.room = length});
      found = open.end() - 1;
    }
    found->pairs.push_back(pair);
    found->room -= tokens;
  }
  while (!open.empty()) close(0);
}

std::span<const std::int64_t> PairOrder::pairs(std::int64_t number) const {
  TROUPE_CHECK(number >= 0, "sequence number {}", number);
  const PermutationKey key{
      .seed = seed_, .stream = static_cast<std::uint32_t>(number / sequences()), .pool = kPairSequences};
  const auto sequence = at(permute(key, sequences(), number % sequences()));
  return std::span(pairs_).subspan(at(begins_[sequence]), at(begins_[sequence + 1] - begins_[sequence]));
}

}  // namespace troupe::data
