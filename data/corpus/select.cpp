#include "data/corpus/select.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "base/error.h"
#include "base/index.h"

namespace troupe::data {
namespace {

constexpr std::uint64_t kHoldoutSeed = 1;  // so that being held out and fitting under the cap are independent

std::int64_t size_bytes(const Document& document) { return static_cast<std::int64_t>(document.text.size()); }

void remove_duplicates(std::vector<Document>& documents) {
  const auto by_hash = [](const Document& a, const Document& b) {
    return std::tie(a.hash, a.domain) < std::tie(b.hash, b.domain);
  };
  std::sort(documents.begin(), documents.end(), by_hash);
  const auto end = std::unique(documents.begin(), documents.end(),
                               [](const Document& a, const Document& b) { return a.hash == b.hash; });
  documents.erase(end, documents.end());
}

std::int64_t size_bytes(const std::vector<Document>& documents) {
  std::int64_t bytes = 0;
  for (const Document& document : documents) bytes += size_bytes(document);
  return bytes;
}

void note_duplicates(std::size_t documents, std::int64_t bytes, SelectedDocuments& selected) {
  if (documents == 0) return;
  selected.notices.push_back(
      fmt::format("left out {} documents of {} bytes whose text is there already", documents, bytes));
}

void note_cap(const std::string& domain, std::int64_t kept, std::int64_t given, std::int64_t cap,
              SelectedDocuments& selected) {
  if (kept == given) return;
  selected.notices.push_back(
      fmt::format("{}: kept {} of {} bytes of text, because domain_cap_bytes is {}: raise it for more",
                  domain, kept, given, cap));
}

/// [domains][documents]: hash order is kept.
std::vector<std::vector<Document>> group_by_domain(std::vector<Document> documents, std::size_t domains) {
  std::vector<std::vector<Document>> groups(domains);
  for (Document& document : documents) groups[at(document.domain)].push_back(std::move(document));
  return groups;
}

void cap(std::vector<Document>& documents, std::int64_t cap_bytes) {
  std::int64_t total = 0;
  std::erase_if(documents, [&](const Document& document) {
    const bool fits = size_bytes(document) <= cap_bytes - total;
    if (fits) total += size_bytes(document);
    return !fits;
  });
}

std::vector<bool> choose_heldout(const std::vector<Document>& documents, double fraction) {
  std::vector<std::pair<ContentHash, std::size_t>> order;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    order.emplace_back(content_hash(documents[i].text, kHoldoutSeed), i);
    total += size_bytes(documents[i]);
  }
  std::sort(order.begin(), order.end());
  const auto wanted = static_cast<std::int64_t>(fraction * static_cast<double>(total));
  std::vector<bool> heldout(documents.size(), false);
  std::int64_t taken = 0;
  for (std::size_t i = 0; i + 1 < order.size() && (i == 0 || taken < wanted); ++i) {
    heldout[order[i].second] = true;
    taken += size_bytes(documents[order[i].second]);
  }
  return heldout;
}

}  // namespace

SelectedDocuments select_documents(const CorpusDescription& description, std::vector<Document> documents) {
  const auto names = description.domain_names();
  const std::size_t documents_given = documents.size();
  const std::int64_t bytes_given = size_bytes(documents);
  remove_duplicates(documents);
  SelectedDocuments selected;
  note_duplicates(documents_given - documents.size(), bytes_given - size_bytes(documents), selected);
  auto domains = group_by_domain(std::move(documents), names.size());
  for (std::size_t domain = 0; domain < domains.size(); ++domain) {
    const std::int64_t given = size_bytes(domains[domain]);
    cap(domains[domain], description.domain_cap_bytes);
    note_cap(names[domain], size_bytes(domains[domain]), given, description.domain_cap_bytes, selected);
    if (domains[domain].empty()) {
      throw Error(ErrorCode::kConfig,
                  "{}: domain '{}' has no document that is new and fits under domain_cap_bytes",
                  description.file.string(), names[domain]);
    }
    const auto heldout = choose_heldout(domains[domain], description.heldout_fraction);
    for (std::size_t i = 0; i < domains[domain].size(); ++i) {
      (heldout[i] ? selected.heldout : selected.train).push_back(std::move(domains[domain][i]));
    }
  }
  return selected;
}

}  // namespace troupe::data
