// Preferences as inputs of prepare_inputs(): pairs of documents, what is trained of them, what is left out.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <set>

#include "base/file.h"
#include "data/corpus_text.h"
#include "data/sources/prepare_inputs.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/data/expect_error.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

std::string preference(int number) {
  return fmt::format(R"({{"prompt": "{} + 1 =", "chosen": " {}", "rejected": " no"}})", number, number + 1) +
         "\n";
}

class PreparePreferencesTest : public ::testing::Test {
 protected:
  PreparePreferencesTest() {
    request_.output = folder_ / "out";
    request_.tokenizer = "train:300";
    request_.heldout_fraction = 0.3;
    request_.parse.chat = ChatTemplate::kPlain;
    request_.parse.preferences = true;
  }

  PrepareReport prepare(const std::string& content) {
    write_file_atomically(folder_ / "a.jsonl", content);
    request_.inputs = {(folder_ / "a.jsonl").string()};
    return prepare_inputs(request_, {});
  }
  /// Chosen and rejected halves, with what is trained in brackets.
  using Texts = std::pair<std::string, std::string>;
  [[nodiscard]] std::set<Texts> pairs(const char* part) const {
    const Tokenizer tokenizer = read_tokenizer_json(folder_ / "out" / kTokenizerFile);
    const TokenDataset dataset(folder_ / "out" / part);
    EXPECT_TRUE(dataset.header().pairs);
    const auto text = [&](std::int64_t document) {
      std::string all;
      visit_text(dataset, tokenizer, document,
                 [&](const std::string& t, bool trained) { all += trained ? "[" + t + "]" : t; });
      return all;
    };
    std::set<Texts> found;
    for (std::int64_t d = 0; d < dataset.document_count(); d += 2) found.emplace(text(d), text(d + 1));
    return found;
  }

  test::ScratchFolder folder_;
  InputsRequest request_;
};

TEST_F(PreparePreferencesTest, KeepsBothHalvesTogetherInTrainingOrHeldOut) {
  std::string lines;
  std::set<Texts> expected;
  for (int i = 0; i < 20; ++i) {
    lines += preference(i);
    expected.emplace(fmt::format("{} + 1 =[ {}<|endoftext|>]", i, i + 1),
                     fmt::format("{} + 1 =[ no<|endoftext|>]", i));
  }
  prepare(lines);
  std::set<Texts> all = pairs(kTrainFile);
  EXPECT_LT(all.size(), 20U);
  all.merge(pairs(kHeldoutFile));
  EXPECT_EQ(all, expected);
}

TEST_F(PreparePreferencesTest, CountsLinesThatPreferNothingAndFailsBeyondTheLimit) {
  const std::string lines = preference(1) + preference(2) + preference(1) +
                            "{\"prompt\": \"x\", \"chosen\": \"y\", \"rejected\": \"y\"}\n";
  const PrepareReport report = prepare(lines);
  std::string notices;
  for (const std::string& notice : report.notices) notices += notice + "\n";
  EXPECT_NE(notices.find("1 documents (47 bytes): without a preference, first"), std::string::npos)
      << notices;
  EXPECT_NE(notices.find("a.jsonl:4: chosen and rejected are the same"), std::string::npos) << notices;
  EXPECT_NE(notices.find("duplicates"), std::string::npos) << notices;
  request_.max_errors = 0;
  expect_error(ErrorCode::kConfig, "--max-errors 0", [&] { prepare(lines + preference(3)); });
}

TEST_F(PreparePreferencesTest, DoesNotTakeAChatOfTheSameTextsForThePairs) {
  prepare(preference(1) + preference(2));
  request_.parse.preferences = false;
  EXPECT_TRUE(
      prepare("{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"c\", \"completion\": \"d\"}\n")
          .worked);
  EXPECT_FALSE(TokenDataset(folder_ / "out" / kTrainFile).header().pairs);
}

}  // namespace
}  // namespace troupe::data
