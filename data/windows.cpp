#include "data/windows.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"

namespace troupe::data {

std::int64_t window_count(const TokenDataset& dataset, std::int64_t length) {
  TROUPE_CHECK(length > 0, "a window of {} tokens", length);
  return (dataset.token_count() - 1) / length;
}

std::vector<WindowRange> windows_by_domain(const TokenDataset& dataset, std::int64_t length) {
  const TokenFileHeader& header = dataset.header();
  const std::int64_t windows = window_count(dataset, length);
  std::vector<std::int64_t> end_token(header.domain_names.size(), 0);
  for (std::size_t document = 0; document < header.document_domains.size(); ++document) {
    end_token[at(header.document_domains[document])] = header.document_offsets[document + 1];
  }
  // Documents are sorted by domain, so a domain's windows are those that begin before its last token
  // and after the domain before it.
  std::vector<WindowRange> ranges(end_token.size());
  std::int64_t next = 0;
  for (std::size_t domain = 0; domain < ranges.size(); ++domain) {
    const std::int64_t end = std::min((end_token[domain] + length - 1) / length, windows);
    ranges[domain] = {next, std::max<std::int64_t>(end - next, 0)};
    next += ranges[domain].count;
  }
  return ranges;
}

}  // namespace troupe::data
