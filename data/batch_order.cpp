#include "data/batch_order.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/index.h"
#include "data/permutation.h"

namespace troupe::data {
namespace {

constexpr std::uint16_t kSequences = 0xFFFE;  // no domain has this number: domains are fewer
/// A sequence may end in the pass after the one where it begins, and is read ahead by a batch.
constexpr std::size_t kKeptPasses = 4;

std::size_t domain_index(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw Error(ErrorCode::kConfig, "data.domains: the corpus has no domain '{}'; it has {}", name,
                fmt::join(names, ", "));
  }
  return at(found - names.begin());
}

/// [domains] weights that sum to 1.
std::vector<double> normalised_weights(const std::vector<std::string>& names,
                                       const std::map<std::string, double>& weights) {
  std::vector<double> shares(names.size(), 0.0);
  for (const auto& [name, weight] : weights) {
    if (!(weight >= 0.0) || !std::isfinite(weight)) {
      throw Error(ErrorCode::kConfig, "data.domains.{}: a weight is a number of at least 0, not {}", name,
                  weight);
    }
    shares[domain_index(names, name)] = weight;
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!(sum > 0.0) || !std::isfinite(sum)) {
    throw Error(ErrorCode::kConfig,
                "data.domains: at least one weight must be above 0, and their sum finite");
  }
  for (double& share : shares) share /= sum;
  return shares;
}

bool has_text(const TokenFileHeader& header, std::int32_t domain) {
  return std::binary_search(header.document_domains.begin(), header.document_domains.end(), domain);
}

std::vector<DomainShare> by_size(const TokenDataset& dataset, std::uint64_t seed) {
  std::vector<DomainShare> shares;
  for (std::int32_t domain = 0; domain < std::ssize(dataset.header().domain_names); ++domain) {
    if (!has_text(dataset.header(), domain)) continue;
    DomainStream stream(dataset, domain, seed);
    const auto tokens = static_cast<double>(stream.tokens());
    shares.push_back({std::move(stream), tokens});
  }
  return shares;
}

/// Of the run's configuration, else the corpus' own.
std::map<std::string, double> weights_of(const TokenFileHeader& header,
                                         const std::map<std::string, double>& configured) {
  std::map<std::string, double> weights = configured;
  if (!configured.empty()) return weights;
  for (std::size_t domain = 0; domain < header.domain_weights.size(); ++domain)
    weights[header.domain_names[domain]] = header.domain_weights[domain];
  return weights;
}

/// Shares of a pass that has the tokens of all its domains; fewer where small domains would be repeated so
/// often that the pass had more than twice their documents.
std::vector<DomainShare> by_weight(const TokenDataset& dataset, std::uint64_t seed,
                                   const std::map<std::string, double>& weights) {
  const auto& names = dataset.header().domain_names;
  const std::vector<double> fractions = normalised_weights(names, weights);
  std::vector<DomainShare> shares;
  double tokens = 0.0;
  double documents = 0.0;
  double drawn_per_token = 0.0;
  for (std::int32_t domain = 0; domain < std::ssize(names); ++domain) {
    const double fraction = fractions[at(domain)];
    if (fraction == 0.0) continue;
    if (!has_text(dataset.header(), domain)) {
      throw Error(ErrorCode::kConfig, "data.domains.{}: the domain has no training text", names[at(domain)]);
    }
    shares.push_back({DomainStream(dataset, domain, seed), fraction});
    const DomainStream& stream = shares.back().stream;
    tokens += static_cast<double>(stream.tokens());
    documents += static_cast<double>(stream.documents());
    drawn_per_token +=
        fraction * static_cast<double>(stream.documents()) / static_cast<double>(stream.tokens());
  }
  const double pass_tokens = std::min(tokens, 2.0 * documents / drawn_per_token);
  for (DomainShare& share : shares) share.tokens_per_pass *= pass_tokens;
  return shares;
}

std::int64_t rounded_up(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit; }

}  // namespace

BatchOrder::BatchOrder(const TokenDataset& dataset, std::int64_t length, std::uint64_t seed,
                       const std::map<std::string, double>& configured)
    : dataset_(dataset), length_(length), seed_(seed) {
  if (window_count(dataset, length) == 0) {
    throw Error(ErrorCode::kConfig,
                "the training text has {} tokens, less than one sequence of {}: use a smaller "
                "data.sequence_length or a larger corpus",
                dataset.token_count(), length);
  }
  const auto weights = weights_of(dataset.header(), configured);
  weighted_ = !weights.empty();
  shares_ = weighted_ ? by_weight(dataset, seed, weights) : by_size(dataset, seed);
  for (const DomainShare& share : shares_) tokens_per_pass_ += share.tokens_per_pass;
}

std::int64_t BatchOrder::pass_of(std::int64_t token) const {
  auto pass = static_cast<std::int64_t>(static_cast<double>(token) / tokens_per_pass_);
  while (pass > 0 && pass_begin(shares_, pass) > token) --pass;
  while (pass_begin(shares_, pass + 1) <= token) ++pass;
  return pass;
}

const DocumentPass& BatchOrder::pass_at(std::int64_t token) const {
  const auto found =
      std::ranges::find_if(passes_, [&](const DocumentPass& pass) { return pass.holds(token); });
  if (found != passes_.end()) {
    std::rotate(found, found + 1, passes_.end());
    return passes_.back();
  }
  if (passes_.size() == kKeptPasses) passes_.erase(passes_.begin());
  return passes_.emplace_back(dataset_, shares_, seed_, pass_of(token));
}

void BatchOrder::append_pieces(std::int64_t number, std::vector<TokenPiece>& pieces) const {
  TROUPE_CHECK(number >= 0, "sequence number {}", number);
  const std::scoped_lock lock(mutex_);
  append(number, length_ + 1, pieces);
}

void BatchOrder::append(std::int64_t number, std::int64_t tokens, std::vector<TokenPiece>& pieces) const {
  const DocumentPass& pass = pass_at(number * length_);
  const std::int64_t first = rounded_up(pass.begin(), length_);  // sequences that begin in the pass
  const std::int64_t count = rounded_up(pass.end(), length_) - first;
  const PermutationKey key{
      .seed = seed_, .stream = static_cast<std::uint32_t>(pass.number()), .pool = kSequences};
  std::int64_t token = (first + permute(key, count, number - first)) * length_;
  while (tokens > 0) {
    const std::int64_t appended = pass_at(token).append_pieces(token, tokens, pieces);
    token += appended;
    tokens -= appended;
  }
}

void BatchOrder::require_reach(std::int64_t sequences) const {
  if (!weighted_) return;
  const double tokens = static_cast<double>(sequences) * static_cast<double>(length_);
  for (const DomainShare& share : shares_) {
    const double expected = tokens * share.tokens_per_pass / tokens_per_pass_;
    const double document =
        static_cast<double>(share.stream.tokens()) / static_cast<double>(share.stream.documents());
    if (expected >= document) continue;
    throw Error(
        ErrorCode::kConfig,
        "data.domains.{}: the weight cannot be met: of the run's {:.0f} tokens {:.1f} would be of this "
        "domain, whose documents have {:.0f} on average: raise the weight, or leave the domain out",
        dataset_.header().domain_names[at(share.stream.domain())], tokens, expected, document);
  }
}

std::vector<SeenText> BatchOrder::seen(std::int64_t count) const {
  const std::scoped_lock lock(mutex_);
  const std::int64_t number = pass_of(count * length_);
  std::vector<SeenText> result(dataset_.header().domain_names.size());
  for (const DomainShare& share : shares_) {
    result[at(share.stream.domain())] = {.epoch_tokens = share.stream.tokens(),
                                         .tokens = pass_border(share, number).tokens};
  }
  const std::int64_t begin = pass_begin(shares_, number);
  std::vector<TokenPiece> pieces;
  const std::int64_t first = rounded_up(begin, length_);  // what is before it began in an earlier pass
  if (first * length_ > begin) pass_at(begin).append_pieces(begin, first * length_ - begin, pieces);
  for (std::int64_t sequence = first; sequence < count; ++sequence) append(sequence, length_, pieces);
  for (const TokenPiece& piece : pieces) {
    const auto document = at(dataset_.document_at(piece.first));
    result[at(dataset_.header().document_domains[document])].tokens += piece.count;
  }
  return result;
}

std::string order_of(const DataOptions& options) {
  std::string order =
      fmt::format("sequence_length={} document_mask={}", options.sequence_length, options.document_mask);
  for (const auto& [domain, weight] : options.domains) order += fmt::format(" {}={}", domain, weight);
  return order;
}

}  // namespace troupe::data
