#include "data/token_dataset.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <set>

#include "storage/hdf5/file.h"
#include "tests/data/expect_error.h"
#include "tests/data/token_files.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

using storage::hdf5::File;
using test::ScratchFolder;

TestStream small_stream(std::int64_t vocab = 50) { return make_stream({{0, 3}, {0, 1}, {1, 7}}, 2, vocab); }

/// A token file that may be wrong in any way: written without the writer's checks.
struct RawFile {
  std::int64_t format_version = kTokenFormatVersion;
  std::int64_t vocab_size = 50;
  std::int64_t end_of_text = 0;
  std::int64_t begin_of_text = kNoToken;
  std::string domain_names = R"(["d0","d1"])";
  std::vector<std::uint16_t> tokens{0, 1, 2, 3, 0, 0, 6, 0, 0, 9, 10, 0};
  std::vector<std::int64_t> offsets{0, 5, 8, 12};
  std::vector<std::int32_t> domains{0, 0, 1};
  std::vector<std::int32_t> token_bytes = std::vector<std::int32_t>(50, 1);
  std::optional<std::vector<std::int64_t>> trained = std::nullopt;
  std::vector<double> weights = {};

  void weigh(std::vector<double> numbers) {
    format_version = kWeightedTokenFormatVersion;
    weights = std::move(numbers);
  }
  void mask(std::vector<std::int64_t> borders) {
    format_version = kMaskedTokenFormatVersion;
    trained = std::move(borders);
  }

  void write(const std::filesystem::path& path) const {
    File file = File::create(path);
    file.set_attribute("/", "format_version", format_version);
    file.set_attribute("/", "vocab_size", vocab_size);
    file.set_attribute("/", "end_of_text", end_of_text);
    file.set_attribute("/", "begin_of_text", begin_of_text);
    file.set_attribute("/", "domain_names", std::string_view(domain_names));
    file.set_attribute("/", "tokenizer_hash", std::string_view("hash"));
    file.write_dataset<std::uint16_t>("tokens", tokens);
    file.write_dataset<std::int64_t>("document_offsets", offsets);
    file.write_dataset<std::int32_t>("document_domains", domains);
    file.write_dataset<std::int32_t>("token_bytes", token_bytes);
    if (trained) file.write_dataset<std::int64_t>("trained_spans", *trained);
    if (!weights.empty()) file.write_dataset<double>("domain_weights", weights);
    const auto hashes = chunk_hashes(std::as_bytes(std::span(tokens)), sizeof(std::uint16_t));
    file.write_dataset<std::int64_t>("token_chunk_hashes", hashes);
    file.set_attribute("/", "content_hash", content_hash(header(), hashes));
    file.close();
  }

  /// What it is meant to say; the names are those of the undamaged file.
  TokenFileHeader header() const {
    return {.domain_names = {"d0", "d1"},
            .tokenizer_hash = "hash",
            .vocab_size = vocab_size,
            .end_of_text = static_cast<std::int32_t>(end_of_text),
            .begin_of_text = static_cast<std::int32_t>(begin_of_text),
            .token_bytes = token_bytes,
            .document_offsets = offsets,
            .document_domains = domains};
  }
};

TEST(TokenDataset, GivesBackWhatWasWrittenForNarrowAndWideVocabularies) {
  const test::ScratchFolder folder;
  for (const std::int64_t vocab : {50, 65536, 65537, 200000}) {
    const TestStream stream = small_stream(vocab);
    const TokenDataset dataset = make_dataset(folder / ("a" + std::to_string(vocab)), stream);
    EXPECT_EQ(dataset.header(), stream.header);
    std::vector<std::int32_t> tokens(stream.tokens.size());
    dataset.read(0, tokens);
    EXPECT_EQ(tokens, stream.tokens) << vocab;
  }
}

TEST(TokenDataset, GivesBackWhatIsTrainedAndHashesIt) {
  const test::ScratchFolder folder;
  TestStream stream = small_stream();
  const TokenDataset plain = make_dataset(folder / "plain", stream);
  std::set<std::string> hashes{plain.content_hash()};
  for (const std::vector<std::int64_t>& borders :
       {std::vector<std::int64_t>{0, 2, 3, 5}, {0, 2, 3, 6}, {}, {0, plain.token_count()}}) {
    stream.header.trained = TrainedSpans(borders);
    const TokenDataset dataset = make_dataset(folder / std::to_string(hashes.size()), stream);
    EXPECT_EQ(dataset.header(), stream.header);
    EXPECT_TRUE(hashes.insert(dataset.content_hash()).second);
    expect_error(ErrorCode::kCorrupt, "not of one corpus", [&] { check_same_corpus(plain, dataset); });
  }
}

TEST(TokenDataset, GivesBackWeightsOfDomainsAndHashesThem) {
  const test::ScratchFolder folder;
  TestStream stream = small_stream();
  std::set<std::string> hashes{make_dataset(folder / "plain", stream).content_hash()};
  for (const double second : {0.0, 3.0}) {
    stream.header.domain_weights = {1.0, second};
    const TokenDataset dataset = make_dataset(folder / std::to_string(hashes.size()), stream);
    EXPECT_EQ(dataset.header(), stream.header);
    EXPECT_TRUE(hashes.insert(dataset.content_hash()).second);
  }
}

// Whoever has a corpus keeps it: it is read, and made again byte for byte.
TEST(TokenDataset, WritesPlainFilesAsTheyWereWrittenBefore) {
  const test::ScratchFolder folder;
  const std::filesystem::path tiny = TROUPE_SOURCE_DIR "/tests/data/tiny/train.h5";
  const TokenDataset dataset(tiny);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.token_count()));
  dataset.read(0, tokens);
  write_token_file(folder / "again", dataset.header(), tokens);
  EXPECT_EQ(read_file(folder / "again", 1 << 24), read_file(tiny, 1 << 24));
}

TEST(TokenDataset, ReadsTheLargestIdsOfBothWidths) {
  const test::ScratchFolder folder;
  for (const std::int64_t vocab : {65536, 65537}) {
    TestStream stream = small_stream(vocab);
    stream.tokens[2] = static_cast<std::int32_t>(vocab - 1);
    const TokenDataset dataset = make_dataset(folder / ("a" + std::to_string(vocab)), stream);
    std::vector<std::int32_t> token(1);
    dataset.read(2, token);
    EXPECT_EQ(token[0], vocab - 1);
  }
}

TEST(TokenDataset, ReadsAnyRange) {
  const test::ScratchFolder folder;
  const TestStream stream = make_stream({{0, 100}, {0, 31}}, 1, 1000);
  const TokenDataset dataset = make_dataset(folder / "a", stream);
  for (const std::int64_t first : {0, 1, 57, 134}) {
    for (const std::int64_t count : {0, 1, 2}) {
      if (first + count > dataset.token_count()) continue;
      std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
      dataset.read(first, tokens);
      EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), stream.tokens.begin() + first))
          << first << " " << count;
    }
  }
}

TEST(TokenDataset, RefusesToReadOutsideTheStream) {
  const test::ScratchFolder folder;
  const TokenDataset dataset = make_dataset(folder / "a", small_stream());
  std::vector<std::int32_t> tokens(2);
  expect_error(ErrorCode::kInternal, "tokens [", [&] { dataset.read(-1, tokens); });
  expect_error(ErrorCode::kInternal, "tokens [", [&] { dataset.read(dataset.token_count() - 1, tokens); });
  expect_error(ErrorCode::kInternal, "tokens [",
               [&] { dataset.read(std::numeric_limits<std::int64_t>::max(), tokens); });
  expect_error(ErrorCode::kInternal, "tokens [", [&] { dataset.prefetch(dataset.token_count() - 1, 2); });
}

TEST(TokenDataset, FindsTheDocumentOfEveryToken) {
  const test::ScratchFolder folder;
  const TokenDataset dataset = make_dataset(folder / "a", small_stream());
  const auto& offsets = dataset.header().document_offsets;
  for (std::int64_t position = 0; position < dataset.token_count(); ++position) {
    const auto document = static_cast<std::size_t>(dataset.document_at(position));
    EXPECT_LE(offsets[document], position);
    EXPECT_LT(position, offsets[document + 1]);
  }
}

TEST(TokenDataset, NamesTheCommandThatMakesAMissingFile) {
  expect_error(ErrorCode::kConfig, "troupe data prepare",
               [] { const TokenDataset dataset("/nonexistent/train.h5"); });
}

TEST(TokenDataset, WritesEqualContentAsEqualBytes) {
  const test::ScratchFolder folder;
  (void)make_dataset(folder / "a", small_stream());
  (void)make_dataset(folder / "b", small_stream());
  EXPECT_EQ(read_file(folder / "a", 1 << 20), read_file(folder / "b", 1 << 20));
}

struct Damage {
  const char* name;
  const char* message;
  std::function<void(RawFile&)> apply;
};

class DamagedTokenFile : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedTokenFile, IsRefused) {
  const test::ScratchFolder folder;
  RawFile file;
  file.write(folder / "good");
  const TokenDataset good(folder / "good");
  GetParam().apply(file);
  file.write(folder / "bad");
  expect_error(ErrorCode::kCorrupt, GetParam().message, [&] { const TokenDataset dataset(folder / "bad"); });
}

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();

INSTANTIATE_TEST_SUITE_P(
    Damages, DamagedTokenFile,
    ::testing::Values(
        Damage{"version", "format version",
               [](RawFile& f) { f.format_version = kWeightedTokenFormatVersion + 1; }},
        Damage{"no_weights", "domain_weights", [](RawFile& f) { f.weigh({}); }},
        Damage{"weight_missing", "domain_weights", [](RawFile& f) { f.weigh({1.0}); }},
        Damage{"weight_negative", "domain_weights",
               [](RawFile& f) {
                 f.weigh({1.0, -1.0});
               }},
        Damage{"weight_not_finite", "domain_weights",
               [](RawFile& f) {
                 f.weigh({1.0, std::numeric_limits<double>::infinity()});
               }},
        Damage{"weights_of_nothing", "domain_weights",
               [](RawFile& f) {
                 f.weigh({0.0, 0.0});
               }},
        Damage{"other_weights", "hash",
               [](RawFile& f) {
                 f.weigh({1.0, 2.0});
               }},
        Damage{"no_spans", "trained_spans", [](RawFile& f) { f.format_version = kMaskedTokenFormatVersion; }},
        Damage{"spans_descend", "trained_spans",
               [](RawFile& f) {
                 f.mask({4, 6, 1, 3});
               }},
        Damage{"spans_touch", "trained_spans",
               [](RawFile& f) {
                 f.mask({1, 3, 3, 4});
               }},
        Damage{"spans_beyond_tokens", "trained_spans",
               [](RawFile& f) {
                 f.mask({1, kHuge});
               }},
        Damage{"spans_before_tokens", "trained_spans",
               [](RawFile& f) {
                 f.mask({kLowest, 3});
               }},
        Damage{"spans_without_end", "trained_spans",
               [](RawFile& f) {
                 f.mask({1, 3, 4});
               }},
        Damage{"other_spans", "hash",
               [](RawFile& f) {
                 f.mask({1, 3});
               }},
        Damage{"vocab_zero", "vocab_size", [](RawFile& f) { f.vocab_size = 0; }},
        Damage{"vocab_huge", "vocab_size", [](RawFile& f) { f.vocab_size = kHuge; }},
        Damage{"eot_outside", "end_of_text", [](RawFile& f) { f.end_of_text = 50; }},
        Damage{"eot_negative", "end_of_text", [](RawFile& f) { f.end_of_text = -1; }},
        Damage{"bot_outside", "begin_of_text", [](RawFile& f) { f.begin_of_text = 50; }},
        Damage{"bot_negative", "begin_of_text", [](RawFile& f) { f.begin_of_text = -2; }},
        Damage{"no_room_for_both", "document 1",
               [](RawFile& f) {
                 f.begin_of_text = 1;
                 f.offsets[2] = 6;
               }},
        Damage{"names_no_json", "domain_names", [](RawFile& f) { f.domain_names = "[\"d0\""; }},
        Damage{"names_empty", "domain_names", [](RawFile& f) { f.domain_names = "[]"; }},
        Damage{"names_of_numbers", "domain_names", [](RawFile& f) { f.domain_names = "[1]"; }},
        Damage{"first_offset", "document_offsets", [](RawFile& f) { f.offsets[0] = 1; }},
        Damage{"no_document", "document_offsets", [](RawFile& f) { f.offsets = {0}; }},
        Damage{"descending", "document 1", [](RawFile& f) { f.offsets[2] = 3; }},
        Damage{"empty_document", "document 1", [](RawFile& f) { f.offsets[2] = 5; }},
        Damage{"offset_overflow", "document 1", [](RawFile& f) { f.offsets[2] = kLowest; }},
        Damage{"offset_beyond_tokens", "the documents end at", [](RawFile& f) { f.offsets[3] = kHuge; }},
        Damage{"fewer_tokens", "the documents end at", [](RawFile& f) { f.tokens.pop_back(); }},
        Damage{"domain_count", "document domains", [](RawFile& f) { f.domains.push_back(1); }},
        Damage{"domain_outside", "document_domains", [](RawFile& f) { f.domains[2] = 2; }},
        Damage{"domain_negative", "document_domains", [](RawFile& f) { f.domains[0] = -1; }},
        Damage{"domains_unsorted", "document_domains", [](RawFile& f) { f.domains = {1, 0, 1}; }},
        Damage{"bytes_missing", "token_bytes", [](RawFile& f) { f.token_bytes.pop_back(); }},
        Damage{"bytes_negative", "token_bytes", [](RawFile& f) { f.token_bytes[3] = -1; }}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(TokenDataset, RefusesAnIdOutsideTheVocabularyWhenItIsRead) {
  const test::ScratchFolder folder;
  RawFile file;
  file.tokens[6] = 50;
  file.write(folder / "bad");
  const TokenDataset dataset(folder / "bad");
  std::vector<std::int32_t> tokens(3);
  dataset.read(0, tokens);
  expect_error(ErrorCode::kCorrupt, "token 50", [&] { dataset.read(5, tokens); });
}

TEST(TokenDataset, RefusesAFileThatWasCutOff) {
  const test::ScratchFolder folder;
  (void)make_dataset(folder / "a", make_stream({{0, 5000}}, 1, 50));
  std::filesystem::resize_file(folder / "a", std::filesystem::file_size(folder / "a") / 2);
  EXPECT_THROW(const TokenDataset dataset(folder / "a"), Error);
}

TEST(TokenDataset, NoticesAFileThatShrinksWhileItIsRead) {
  const test::ScratchFolder folder;
  const TokenDataset dataset = make_dataset(folder / "a", make_stream({{0, 5000}}, 1, 50));
  std::filesystem::resize_file(folder / "a", 100);
  std::vector<std::int32_t> tokens(10);
  expect_error(ErrorCode::kCorrupt, "ends inside", [&] { dataset.read(4000, tokens); });
}

TEST(TokenDataset, RefusesFilesOfDifferentCorpora) {
  const test::ScratchFolder folder;
  TestStream other = small_stream();
  other.header.tokenizer_hash = "another";
  const TokenDataset a = make_dataset(folder / "a", small_stream());
  const TokenDataset b = make_dataset(folder / "b", other);
  check_same_corpus(a, a);
  expect_error(ErrorCode::kCorrupt, "not of one corpus", [&] { check_same_corpus(a, b); });
}

}  // namespace
}  // namespace troupe::data
