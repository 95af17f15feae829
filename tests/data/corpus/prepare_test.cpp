#include "data/corpus/prepare.h"

#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "data/corpus/encode.h"
#include "data/corpus_summary.h"
#include "data/evaluation_order.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/data/expect_error.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

const fs::path kTinyDescription = TROUPE_SOURCE_DIR "/configs/corpora/tiny.yaml";
const fs::path kTinyCorpus = TROUPE_SOURCE_DIR "/tests/data/tiny";

std::string content(const fs::path& file) { return read_file(file, 1 << 24); }

class PrepareTest : public ::testing::Test {
 protected:
  PrepareTest() {
    fs::create_directories(folder_ / "text");
    for (int i = 0; i < 30; ++i)
      write_text(i, "The quick brown fox number " + std::to_string(i) + " jumps.\n");
    write_file_atomically(folder_ / "corpus.yaml",
                          "name: test\nvocab_size: 300\nsources:\n"
                          "  - {path: text, domain: foxes, language: en, files: [\"*.txt\"]}\n");
  }
  void write_text(int number, const std::string& text) {
    write_file_atomically(folder_ / "text" / (std::to_string(number) + ".txt"), text);
  }
  bool prepare(std::optional<std::int64_t> vocab_size = std::nullopt) {
    return prepare_corpus({folder_ / "corpus.yaml", folder_ / "out", vocab_size, folder_ / "cache"});
  }
  /// Also hidden leftovers.
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), {}));
  }

  test::ScratchFolder folder_;
};

TEST_F(PrepareTest, MakesTheCommittedTinyCorpusAgainByteForByte) {
  ASSERT_TRUE(prepare_corpus({kTinyDescription, folder_ / "tiny", std::nullopt, folder_ / "cache"}));
  for (const char* name : {kTrainFile, kHeldoutFile, kTokenizerFile, "corpus.json"}) {
    EXPECT_EQ(content(folder_ / "tiny" / name), content(kTinyCorpus / name)) << name;
  }
}

TEST_F(PrepareTest, GivesBackTheTextOfItsDocuments) {
  ASSERT_TRUE(prepare());
  const Tokenizer tokenizer = read_tokenizer_json(folder_ / "out" / kTokenizerFile);
  std::size_t documents = 0;
  for (const char* name : {kTrainFile, kHeldoutFile}) {
    const TokenDataset dataset(folder_ / "out" / name);
    EXPECT_EQ(dataset.header().tokenizer_hash, tokenizer.hash());
    for (std::size_t d = 0; d < dataset.header().document_domains.size(); ++d, ++documents) {
      const std::int64_t begin = dataset.header().document_offsets[d];
      std::vector<std::int32_t> tokens(
          static_cast<std::size_t>(dataset.header().document_offsets[d + 1] - begin));
      dataset.read(begin, tokens);
      EXPECT_EQ(tokens.back(), tokenizer.end_of_text());
      EXPECT_EQ(std::count(tokens.begin(), tokens.end(), tokenizer.end_of_text()), 1);
      const std::string text = tokenizer.decode(tokens);
      EXPECT_TRUE(text.starts_with("The quick brown fox number ")) << text;
      std::int64_t bytes = 0;
      for (const std::int32_t token : tokens)
        bytes += dataset.header().token_bytes[static_cast<std::size_t>(token)];
      EXPECT_EQ(bytes, static_cast<std::int64_t>(text.size()));
    }
  }
  EXPECT_EQ(documents, 30U);
}

TEST_F(PrepareTest, SkipsWhatIsDone) {
  ASSERT_TRUE(prepare());
  const auto time = fs::last_write_time(folder_ / "out" / kTrainFile);
  EXPECT_FALSE(prepare());
  EXPECT_EQ(fs::last_write_time(folder_ / "out" / kTrainFile), time);
}

TEST_F(PrepareTest, PreparesAgainWhenAnInputChangesOrAFileIsGone) {
  ASSERT_TRUE(prepare());
  EXPECT_TRUE(prepare(290 + 20));
  EXPECT_FALSE(prepare(290 + 20));
  write_text(5, "Something else.\n");
  EXPECT_TRUE(prepare());
  fs::remove(folder_ / "out" / kHeldoutFile);
  EXPECT_TRUE(prepare());
  EXPECT_TRUE(fs::exists(folder_ / "out" / kHeldoutFile));
  EXPECT_EQ(entries(), 3U);
}

TEST_F(PrepareTest, RefusesToReplaceSomethingElse) {
  fs::create_directories(folder_ / "out");
  write_file_atomically(folder_ / "out" / "thesis.txt", "precious");
  expect_error(ErrorCode::kConfig, "not a prepared corpus", [&] { (void)prepare(); });
  EXPECT_EQ(content(folder_ / "out" / "thesis.txt"), "precious");
}

TEST_F(PrepareTest, WritesIntoAnEmptyFolder) {
  fs::create_directories(folder_ / "out");
  EXPECT_TRUE(prepare());
  EXPECT_EQ(entries(), 3U);
}

TEST_F(PrepareTest, KeepsTheOldCorpusWhenTheNewOneFails) {
  ASSERT_TRUE(prepare());
  const std::string before = content(folder_ / "out" / kTrainFile);
  for (int i = 1; i < 30; ++i) fs::remove(folder_ / "text" / (std::to_string(i) + ".txt"));
  expect_error(ErrorCode::kConfig, "too few documents", [&] { (void)prepare(); });
  EXPECT_EQ(content(folder_ / "out" / kTrainFile), before);
  EXPECT_EQ(entries(), 3U);
}

TEST_F(PrepareTest, SaysThatAFolderIsMissing) {
  fs::remove_all(folder_ / "text");
  expect_error(ErrorCode::kConfig, "corpus.yaml:4", [&] { (void)prepare(); });
}

TEST_F(PrepareTest, TakesTokensAsTheyAreAndWeightsOfDomains) {
  BpeTrainer trainer({.vocab_size = 300, .begin_of_text = "<|begin|>"});
  trainer.add_document("The quick brown fox. The quick brown fox.");
  const Tokenizer tokenizer(trainer.train());
  write_tokenizer_json(tokenizer, folder_ / "tokenizer.json");
  std::vector<std::uint16_t> ids;
  for (const std::string text : {"The 1", "The 2", "The 3", "The 4"}) {
    ASSERT_LT(tokenizer.encode(text).size(), text.size());  // letter by letter is another way to write it
    for (const char c : text)
      ids.push_back(static_cast<std::uint16_t>(tokenizer.byte_token(static_cast<std::uint8_t>(c))));
    ids.push_back(static_cast<std::uint16_t>(tokenizer.end_of_text()));
  }
  ids.insert(ids.end(), {60000, static_cast<std::uint16_t>(tokenizer.end_of_text())});  // is left out
  fs::create_directories(folder_ / "ids");
  write_file_atomically(folder_ / "ids/a.bin",
                        std::string(reinterpret_cast<const char*>(ids.data()), 2 * ids.size()));
  write_file_atomically(folder_ / "mixed.yaml",
                        "name: mixed\ntokenizer: tokenizer.json\nweights: {foxes: 1, letters: 3}\nsources:\n"
                        "  - {path: text, domain: foxes, language: en, files: ['*.txt']}\n"
                        "  - {path: ids, domain: letters, language: en, files: ['*'], format: tokens}\n");
  const PrepareRequest request{folder_ / "mixed.yaml", folder_ / "mixed", std::nullopt, folder_ / "cache"};
  ASSERT_TRUE(prepare_corpus(request));
  EXPECT_FALSE(prepare_corpus(request));
  std::map<std::string, std::vector<std::int32_t>> letters;
  for (const char* name : {kTrainFile, kHeldoutFile}) {
    const TokenDataset dataset(folder_ / "mixed" / name);
    EXPECT_EQ(dataset.header().tokenizer_hash, tokenizer.hash());
    EXPECT_EQ(dataset.header().domain_weights,
              name == kTrainFile ? std::vector({1.0, 3.0}) : std::vector<double>());
    for (std::int64_t d = 0; d < dataset.document_count(); ++d) {
      if (dataset.header().document_domains[static_cast<std::size_t>(d)] != 1) continue;
      std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.document(d).count));
      dataset.read(dataset.document(d).first, tokens);
      letters[tokenizer.decode(tokens)] = tokens;
      EXPECT_EQ(tokens.front(), tokenizer.begin_of_text());
    }
  }
  ASSERT_EQ(letters.size(), 4U);
  EXPECT_EQ(letters.at("The 3").size(), 7U);  // five letters and what frames them
  EXPECT_NE(to_text(summarize_corpus(folder_ / "mixed")).find("by the weights: foxes 1 letters 3"),
            std::string::npos);
  expect_error(ErrorCode::kConfig, "leave out --vocab", [&] {
    (void)prepare_corpus({folder_ / "mixed.yaml", folder_ / "mixed", 300, folder_ / "cache"});
  });
}

TEST(EncodeDocuments, DoesNotDependOnTheNumberOfThreads) {
  std::vector<Document> documents;
  BpeTrainer trainer({.vocab_size = 300});
  for (int i = 0; i < 37; ++i) {
    documents.emplace_back(
        "line " + std::to_string(i * i) + std::string(static_cast<std::size_t>(i), '!') + "\n", i / 20);
    trainer.add_document(documents.back().text);
  }
  const Tokenizer tokenizer(trainer.train());
  const EncodedDocuments one = encode_documents(tokenizer, documents, 1);
  for (const int threads : {2, 3, 50}) {
    const EncodedDocuments many = encode_documents(tokenizer, documents, threads);
    EXPECT_EQ(many.tokens, one.tokens);
    EXPECT_EQ(many.offsets, one.offsets);
    EXPECT_EQ(many.domains, one.domains);
  }
}

TEST(TinyCorpus, HasTextOfEveryDomainForTrainingAndEvaluation) {
  const CorpusSummary summary = summarize_corpus(kTinyCorpus);
  EXPECT_EQ(summary.name, "tiny");
  EXPECT_EQ(summary.domains.size(), 6U);
  EXPECT_LE(summary.vocab_size, 512);
  for (const DomainSummary& domain : summary.domains) {
    EXPECT_GT(domain.train.documents, 50) << domain.name;
    EXPECT_GE(domain.heldout.documents, 5) << domain.name;
    EXPECT_GT(domain.train.bytes, domain.train.tokens) << domain.name;
    EXPECT_FALSE(domain.language.empty());
  }
  EXPECT_EQ(EvaluationOrder(TokenDataset(kTinyCorpus / kHeldoutFile), 64, 100).size(), 100);
}

TEST(TinyCorpus, SummaryRefusesATokenizerThatMadeNoneOfItsTokens) {
  const test::ScratchFolder folder;
  fs::copy(kTinyCorpus, folder / "copy");
  BpeTrainer trainer({.vocab_size = 512});
  trainer.add_document("other text, other text");
  write_tokenizer_json(Tokenizer(trainer.train()), folder / "copy" / kTokenizerFile);
  expect_error(ErrorCode::kCorrupt, "another tokenizer", [&] { (void)summarize_corpus(folder / "copy"); });
}

TEST(TinyCorpus, SummaryIsTheSameForPeopleAndPrograms) {
  const CorpusSummary summary = summarize_corpus(kTinyCorpus);
  for (const DomainSummary& domain : summary.domains) {
    EXPECT_NE(to_text(summary).find(domain.name), std::string::npos);
    EXPECT_NE(to_json(summary).find("\"tokens\": " + std::to_string(domain.train.tokens)), std::string::npos);
  }
}

}  // namespace
}  // namespace troupe::data
