#include "data/corpus/select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/data/expect_error.h"

namespace troupe::data {
namespace {

CorpusDescription description(std::int64_t cap_bytes = 1'000'000, double heldout = 0.1) {
  CorpusDescription result;
  result.file = "corpus.yaml";
  result.domain_cap_bytes = cap_bytes;
  result.heldout_fraction = heldout;
  for (const char* domain : {"a", "b"}) {
    CorpusSource source;
    source.domain = domain;
    result.sources.push_back(source);
  }
  return result;
}

std::string text_of(int number) { return "text " + std::to_string(number) + std::string(90, '.'); }

std::vector<Document> numbered(int count, std::int32_t domain, int first = 0) {
  std::vector<Document> documents;
  for (int i = 0; i < count; ++i) documents.emplace_back(text_of(first + i), domain);
  return documents;
}

std::vector<Document> joined(std::vector<Document> a, const std::vector<Document>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<std::string> texts(const std::vector<Document>& documents) {
  std::vector<std::string> result;
  for (const Document& document : documents) result.push_back(document.text);
  return result;
}

std::int64_t bytes_of(const std::vector<Document>& documents, std::int32_t domain) {
  std::int64_t bytes = 0;
  for (const Document& document : documents) {
    if (document.domain == domain) bytes += static_cast<std::int64_t>(document.text.size());
  }
  return bytes;
}

TEST(SelectDocuments, DoesNotDependOnTheOrderOfTheDocuments) {
  auto documents = joined(numbered(100, 0), numbered(100, 1, 50));
  const SelectedDocuments forward = select_documents(description(5000), documents);
  std::reverse(documents.begin(), documents.end());
  const SelectedDocuments backward = select_documents(description(5000), documents);
  EXPECT_EQ(texts(forward.train), texts(backward.train));
  EXPECT_EQ(texts(forward.heldout), texts(backward.heldout));
}

TEST(SelectDocuments, KeepsOneOfEqualDocumentsInTheFirstDomain) {
  const SelectedDocuments selected =
      select_documents(description(), joined(joined(numbered(20, 1), numbered(20, 0)), numbered(10, 1, 15)));
  std::map<std::string, std::int32_t> domains;
  for (const auto* part : {&selected.train, &selected.heldout}) {
    for (const Document& document : *part)
      EXPECT_TRUE(domains.emplace(document.text, document.domain).second);
  }
  ASSERT_EQ(domains.size(), 25U);
  for (int i = 0; i < 25; ++i) EXPECT_EQ(domains.at(text_of(i)), i < 20 ? 0 : 1) << i;
}

TEST(SelectDocuments, KeepsEveryDomainUnderItsCap) {
  const SelectedDocuments selected =
      select_documents(description(3000), joined(numbered(100, 0), numbered(5, 1, 100)));
  const std::int64_t capped = bytes_of(selected.train, 0) + bytes_of(selected.heldout, 0);
  EXPECT_LE(capped, 3000);
  EXPECT_GT(capped, 2800);
  EXPECT_EQ(bytes_of(selected.train, 1) + bytes_of(selected.heldout, 1), bytes_of(numbered(5, 1, 100), 1));
}

TEST(SelectDocuments, SaysWhatItLeavesOut) {
  EXPECT_TRUE(select_documents(description(), joined(numbered(9, 0), numbered(5, 1, 10))).notices.empty());
  const auto documents = joined(joined(numbered(100, 0), numbered(4, 0)), numbered(5, 1, 100));
  const auto notices = select_documents(description(3000), documents).notices;
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_NE(notices[0].find("left out 4 documents of"), std::string::npos);
  EXPECT_NE(notices[1].find("a: kept 29"), std::string::npos);
  EXPECT_NE(notices[1].find("bytes of text, because domain_cap_bytes is 3000"), std::string::npos);
}

TEST(SelectDocuments, HoldsOutTheFractionOfEveryDomain) {
  const SelectedDocuments selected =
      select_documents(description(), joined(numbered(400, 0), numbered(100, 1, 400)));
  for (const std::int32_t domain : {0, 1}) {
    const auto heldout = static_cast<double>(bytes_of(selected.heldout, domain));
    const double all = heldout + static_cast<double>(bytes_of(selected.train, domain));
    EXPECT_GE(heldout / all, 0.1);
    EXPECT_LT(heldout / all, 0.125);
  }
}

TEST(SelectDocuments, HoldsOutOneDocumentAtLeastAndNeverTheOnlyOne) {
  const SelectedDocuments selected =
      select_documents(description(1'000'000, 0.0), joined(numbered(10, 0), numbered(1, 1, 10)));
  EXPECT_EQ(selected.heldout.size(), 1U);
  EXPECT_EQ(selected.heldout[0].domain, 0);
  EXPECT_EQ(selected.train.size(), 10U);
}

TEST(SelectDocuments, NeverTrainsOnWhatIsHeldOut) {
  const SelectedDocuments selected =
      select_documents(description(), joined(numbered(200, 0), numbered(200, 1, 100)));
  const auto train = texts(selected.train);
  const std::set<std::string> known(train.begin(), train.end());
  for (const std::string& text : texts(selected.heldout)) EXPECT_FALSE(known.contains(text));
  EXPECT_EQ(selected.train.size() + selected.heldout.size(), 300U);
}

TEST(SelectDocuments, OrdersByDomainThenHash) {
  const SelectedDocuments selected =
      select_documents(description(), joined(numbered(50, 1), numbered(50, 0, 50)));
  EXPECT_TRUE(
      std::is_sorted(selected.train.begin(), selected.train.end(), [](const Document& a, const Document& b) {
        return std::tie(a.domain, a.hash) < std::tie(b.domain, b.hash);
      }));
}

TEST(SelectDocuments, NamesADomainWithoutDocuments) {
  expect_error(ErrorCode::kConfig, "domain 'b'",
               [] { (void)select_documents(description(), joined(numbered(5, 0), numbered(5, 1))); });
  expect_error(ErrorCode::kConfig, "domain_cap_bytes",
               [] { (void)select_documents(description(50), joined(numbered(5, 0), numbered(5, 1, 5))); });
}

}  // namespace
}  // namespace troupe::data
