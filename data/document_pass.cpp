#include "data/document_pass.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/index.h"
#include "data/permutation.h"

namespace troupe::data {
namespace {

constexpr std::uint16_t kShuffledTogether = 0xFFFF;  // no domain has this number: domains are fewer

void shuffle(std::vector<std::int64_t>& documents, std::uint64_t seed, std::int64_t pass) {
  const PermutationKey key{
      .seed = seed, .stream = static_cast<std::uint32_t>(pass), .pool = kShuffledTogether};
  std::vector<std::int64_t> shuffled(documents.size());
  for (std::int64_t i = 0; i < std::ssize(documents); ++i)
    shuffled[at(permute(key, std::ssize(documents), i))] = documents[at(i)];
  documents = std::move(shuffled);
}

}  // namespace

DomainStream::Border pass_border(const DomainShare& share, std::int64_t pass) {
  // A product of doubles is the same on every machine.
  return share.stream.border_from(
      static_cast<std::int64_t>(std::floor(static_cast<double>(pass) * share.tokens_per_pass)));
}

DocumentPass::DocumentPass(const TokenDataset& dataset, std::span<const DomainShare> shares,
                           std::uint64_t seed, std::int64_t number)
    : dataset_(&dataset), number_(number) {
  for (const DomainShare& share : shares) {
    const DomainStream::Border first = pass_border(share, number);
    const DomainStream::Border last = pass_border(share, number + 1);
    begin_ += first.tokens;
    for (std::int64_t i = first.documents; i < last.documents; ++i)
      documents_.push_back(share.stream.document(i));
  }
  shuffle(documents_, seed, number);
  std::int64_t end = 0;
  for (const std::int64_t document : documents_) ends_.push_back(end += dataset.document(document).count);
}

std::int64_t DocumentPass::append_pieces(std::int64_t first, std::int64_t count,
                                         std::vector<TokenPiece>& pieces) const {
  TROUPE_CHECK(holds(first), "token {} is not in [{}, {})", first, begin(), end());
  const std::int64_t wanted = std::min(count, end() - first);
  std::int64_t place = first - begin_;
  auto index = at(std::upper_bound(ends_.begin(), ends_.end(), place) - ends_.begin());
  for (std::int64_t rest = wanted; rest > 0; ++index) {
    const TokenPiece document = dataset_->document(documents_[index]);
    const std::int64_t skipped = place - (ends_[index] - document.count);
    const TokenPiece piece{document.first + skipped, std::min(document.count - skipped, rest)};
    pieces.push_back(piece);
    place += piece.count;
    rest -= piece.count;
  }
  return wanted;
}

std::int64_t pass_begin(std::span<const DomainShare> shares, std::int64_t pass) {
  std::int64_t tokens = 0;
  for (const DomainShare& share : shares) tokens += pass_border(share, pass).tokens;
  return tokens;
}

}  // namespace troupe::data
