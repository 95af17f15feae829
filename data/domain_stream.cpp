#include "data/domain_stream.h"

#include <algorithm>

#include "base/error.h"
#include "data/permutation.h"

namespace troupe::data {

DomainStream::DomainStream(const TokenDataset& dataset, std::int32_t domain, std::uint64_t seed)
    : dataset_(dataset), seed_(seed), domain_(domain) {
  const auto& domains = dataset.header().document_domains;
  const auto [begin, end] = std::equal_range(domains.begin(), domains.end(), domain);
  TROUPE_CHECK(begin != end, "domain {} has no document", domain);
  first_document_ = begin - domains.begin();
  documents_ = end - begin;
  tokens_ =
      dataset.document(first_document_ + documents_ - 1).end() - dataset.document(first_document_).first;
}

std::int64_t DomainStream::document(std::int64_t index) const {
  const PermutationKey key{.seed = seed_,
                           .stream = static_cast<std::uint32_t>(index / documents_),
                           .pool = static_cast<std::uint16_t>(domain_)};
  return first_document_ + permute(key, documents_, index % documents_);
}

DomainStream::Border DomainStream::border_from(std::int64_t token) const {
  const std::int64_t epoch = token / tokens_;
  Border border{.documents = epoch * documents_, .tokens = epoch * tokens_};
  while (border.tokens < token) {
    border.tokens += dataset_.document(document(border.documents)).count;
    ++border.documents;
  }
  return border;
}

}  // namespace troupe::data
