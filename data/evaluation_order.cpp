#include "data/evaluation_order.h"

#include "base/error.h"
#include "base/index.h"
#include "base/log.h"
#include "data/permutation.h"

namespace troupe::data {
namespace {

/// Appends round `round` of the turns: each domain's window of that rank, as long as it has one.
bool deal_round(const std::vector<WindowRange>& domains, std::int64_t round, std::int64_t limit,
                std::vector<std::int64_t>& windows) {
  bool dealt = false;
  for (std::size_t domain = 0; domain < domains.size(); ++domain) {
    if (static_cast<std::int64_t>(windows.size()) == limit) return false;
    if (round >= domains[domain].count) continue;
    const PermutationKey key{.seed = 0, .stream = 0, .pool = static_cast<std::uint16_t>(domain)};
    windows.push_back(domains[domain].first + permute(key, domains[domain].count, round));
    dealt = true;
  }
  return dealt;
}

}  // namespace

EvaluationOrder::EvaluationOrder(const TokenDataset& heldout, std::int64_t length, std::int64_t sequences)
    : length_(length) {
  const std::vector<WindowRange> domains = windows_by_domain(heldout, length);
  for (std::int64_t round = 0; deal_round(domains, round, sequences, windows_); ++round) {
  }
  if (windows_.empty() && sequences > 0) {
    throw Error(ErrorCode::kConfig,
                "the held-out text has {} tokens, less than one sequence of {}: use a smaller "
                "data.sequence_length, a larger corpus or a larger `troupe data prepare --heldout`",
                heldout.token_count(), length);
  }
  if (size() < sequences) {
    log::warn("evaluation uses {} sequences instead of {}: the held-out text has no more of {} tokens",
              size(), sequences, length);
  }
}

std::int64_t EvaluationOrder::window(std::int64_t number) const {
  TROUPE_CHECK(0 <= number && number < size(), "evaluation sequence {} of {}", number, size());
  return windows_[at(number)];
}

void EvaluationOrder::append_pieces(std::int64_t number, std::vector<TokenPiece>& pieces) const {
  pieces.push_back({window(number) * length_, length_ + 1});
}

}  // namespace troupe::data
