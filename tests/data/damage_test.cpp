// Single bits flipped everywhere in a prepared corpus: each is noticed, or has no effect at all.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "data/corpus/stamp.h"
#include "data/corpus_identity.h"
#include "data/corpus_summary.h"
#include "tests/data/expect_error.h"
#include "tests/data/token_files.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;
using test::ScratchFolder;

constexpr const char* kTiny = TROUPE_SOURCE_DIR "/tests/data/tiny";
constexpr std::size_t kMaxBytes = 1 << 24;

void write(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

struct Content {
  TokenFileHeader header;
  std::vector<std::int32_t> tokens;
  bool operator==(const Content&) const = default;
};

/// What training would see, or nothing when the file is refused.
std::optional<Content> content_of(const fs::path& file) {
  try {
    const TokenDataset dataset(file);
    Content content{dataset.header(),
                    std::vector<std::int32_t>(static_cast<std::size_t>(dataset.token_count()))};
    dataset.read(0, content.tokens);
    return content;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
    return std::nullopt;
  }
}

bool verifies(const fs::path& folder) {
  try {
    verify_corpus(folder);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
    return false;
  }
}

class DamagedCorpus : public ::testing::TestWithParam<const char*> {};

/// Of every byte of the first kilobytes and of every 37th after them, one bit.
TEST_P(DamagedCorpus, SingleBitsAreNoticedWhereverTheyFlip) {
  const ScratchFolder folder;
  for (const char* name : {kTrainFile, kHeldoutFile, kTokenizerFile, kStampFile})
    fs::copy_file(fs::path(kTiny) / name, folder / name);
  const fs::path file = folder / GetParam();
  const std::string good = read_file(file, kMaxBytes);
  const auto expected = content_of(file);
  ASSERT_TRUE(expected && verifies(folder.path()));
  int refused = 0;
  for (std::size_t place = 0; place < good.size(); place += place < 2048 ? 3 : 331) {
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 1 << place % 8);
    write(file, bad);
    const auto content = content_of(file);
    if (!content) ++refused;
    EXPECT_TRUE(!content || *content == *expected) << "byte " << place;
    EXPECT_FALSE(verifies(folder.path())) << "byte " << place;
  }
  EXPECT_GT(refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Files, DamagedCorpus, ::testing::Values(kTrainFile, kHeldoutFile),
                         [](const auto& parameter) {
                           return std::string(parameter.param == std::string(kTrainFile) ? "train"
                                                                                         : "heldout");
                         });

TEST(CorpusIdentity, DoesNotDependOnThePlace) {
  const ScratchFolder folder;
  fs::copy(kTiny, folder / "moved");
  EXPECT_EQ(identify_corpus(kTiny), identify_corpus(folder / "moved"));
  EXPECT_EQ(difference(identify_corpus(kTiny), identify_corpus(folder / "moved")), "");
}

TEST(CorpusIdentity, SaysWhatChanged) {
  const ScratchFolder folder;
  const TestStream stream = make_stream({{0, 30}, {1, 50}}, 2, 40);
  TestStream other = stream;
  ++other.tokens[7];
  const TokenDataset a = make_dataset(folder / "a", stream);
  const TokenDataset b = make_dataset(folder / "b", other);
  const CorpusIdentity was = identify_corpus(a, a);
  const CorpusIdentity now = identify_corpus(b, a);
  EXPECT_NE(was.hash(), now.hash());
  EXPECT_EQ(difference(was, now), "the training text (82 tokens, now 82)");
  EXPECT_EQ(identify_corpus(a, b).train, was.train);
}

TEST(TokenHashes, EveryPartOfTheHeaderCounts) {
  const TokenFileHeader header = make_stream({{0, 3}, {1, 5}}, 2, 20).header;
  const std::vector<std::int64_t> chunks{17};
  const std::string hash = content_hash(header, chunks);
  const auto changed = [&](auto change) {
    TokenFileHeader other = header;
    change(other);
    return content_hash(other, chunks);
  };
  EXPECT_NE(hash, changed([](auto& h) { h.domain_names[1] = "e"; }));
  EXPECT_NE(hash, changed([](auto& h) { h.tokenizer_hash = "x"; }));
  EXPECT_NE(hash, changed([](auto& h) { ++h.vocab_size; }));
  EXPECT_NE(hash, changed([](auto& h) { ++h.end_of_text; }));
  EXPECT_NE(hash, changed([](auto& h) { h.begin_of_text = 4; }));
  EXPECT_NE(hash, changed([](auto& h) { ++h.token_bytes[3]; }));
  EXPECT_NE(hash, changed([](auto& h) { ++h.document_offsets[1]; }));
  EXPECT_NE(hash, changed([](auto& h) { h.document_domains[1] = 0; }));
  EXPECT_NE(hash, changed([](auto& h) { h.trained = TrainedSpans({1, 2}); }));
  EXPECT_NE(hash, content_hash(header, std::vector<std::int64_t>{18}));
}

}  // namespace
}  // namespace troupe::data
