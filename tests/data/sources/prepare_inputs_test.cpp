#include "data/sources/prepare_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "base/file.h"
#include "base/random.h"
#include "data/corpus_identity.h"
#include "data/corpus_summary.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/data/expect_error.h"
#include "tests/data/sources/packed.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

std::string numbered(int number) {
  return "Text number " + std::to_string(number) + " of many, with words that come again.\n";
}

std::string json_line(const std::string& text, const std::string& domain = "") {
  return "{\"id\":1,\"body\":\"" + text + "\",\"meta\":{\"source\":\"" + domain + "\"}}\n";
}

class PrepareInputsTest : public ::testing::Test {
 protected:
  PrepareInputsTest() {
    request_.output = folder_ / "out";
    request_.tokenizer = "train:300";
    request_.heldout_fraction = 0.2;
    request_.threads = 2;
  }

  void write(const std::string& path, const std::string& content) {
    fs::create_directories((folder_ / path).parent_path());
    write_file_atomically(folder_ / path, content);
  }
  PrepareReport prepare(const std::vector<std::string>& inputs) {
    request_.inputs.clear();
    for (const std::string& input : inputs) request_.inputs.push_back((folder_ / input).string());
    return prepare_inputs(request_, {});
  }
  /// Of both parts: text → domain.
  [[nodiscard]] std::map<std::string, std::string> documents(const std::string& output = "out") const {
    const Tokenizer tokenizer = read_tokenizer_json(folder_ / output / kTokenizerFile);
    std::map<std::string, std::string> result;
    for (const char* part : {kTrainFile, kHeldoutFile}) {
      const TokenDataset dataset(folder_ / output / part);
      for (std::int64_t d = 0; d < dataset.document_count(); ++d) {
        std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.document(d).count));
        dataset.read(dataset.document(d).first, tokens);
        const auto domain =
            static_cast<std::size_t>(dataset.header().document_domains[static_cast<std::size_t>(d)]);
        result[tokenizer.decode(tokens)] = dataset.header().domain_names[domain];
      }
    }
    return result;
  }
  [[nodiscard]] static bool mentions(const PrepareReport& report, const std::string& words) {
    return std::ranges::any_of(
        report.notices, [&](const std::string& notice) { return notice.find(words) != std::string::npos; });
  }

  test::ScratchFolder folder_;
  InputsRequest request_;
};

TEST_F(PrepareInputsTest, ReadsAFolderByteForByteWithTheTopFoldersAsDomains) {
  write("in/books/a/1.txt", "  Leading and trailing spaces  \r\n\n\n");
  write("in/books/2.md", "# Title\n");
  write("in/Web Pages/3.txt.gz", gzip(numbered(3)));
  write("in/top.txt.zst", zstd(numbered(4)));
  write("in/other.txt.xz", xz("\xEF\xBB\xBF" + numbered(5)));
  write("in/picture.png", "x");
  const PrepareReport report = prepare({"in"});
  EXPECT_TRUE(report.worked);
  EXPECT_EQ(documents(),
            (std::map<std::string, std::string>{{"  Leading and trailing spaces  \r\n\n\n", "books"},
                                                {"# Title\n", "books"},
                                                {numbered(3), "web-pages"},
                                                {numbered(4), "in"},
                                                {numbered(5), "in"}}));
  EXPECT_TRUE(mentions(report, "left out 1 files of another kind: .png"));
  EXPECT_TRUE(mentions(report, "kept 1 documents"));
  EXPECT_TRUE(mentions(report, "carriage returns"));
  EXPECT_TRUE(mentions(report, "byte order mark"));
  EXPECT_NO_THROW(verify_corpus(folder_ / "out"));
  EXPECT_FALSE(fs::exists(folder_ / "out.unfinished"));
}

TEST_F(PrepareInputsTest, ReadsJsonLinesWithFieldsOfTheUsers) {
  write("a.jsonl",
        json_line("one", "Wiki") + json_line("two", "code") + "\n" + json_line("three \\u00e9", "code"));
  request_.parse.fields = {.text = "body", .domain = "meta.source"};
  EXPECT_TRUE(prepare({"a.jsonl"}).worked);
  EXPECT_EQ(documents(),
            (std::map<std::string, std::string>{{"one", "wiki"}, {"two", "code"}, {"three é", "code"}}));
}

TEST_F(PrepareInputsTest, CountsAndNamesWhatIsBroken) {
  write("a.jsonl", json_line("good one") + "{\"body\": 7}\nnot json\n" + json_line("") +
                       json_line("good two") + "{\"body\":\"\xFF\"}\n" + json_line("good one"));
  request_.parse.fields.text = "body";
  const PrepareReport report = prepare({"a.jsonl"});
  EXPECT_EQ(documents().size(), 2U);
  EXPECT_TRUE(mentions(report, "left out 2 documents (19 bytes): broken lines, first "));
  EXPECT_TRUE(mentions(report, "a.jsonl:2: no text in 'body'"));
  EXPECT_TRUE(mentions(report, "left out 1 documents (0 bytes): empty"));
  EXPECT_TRUE(mentions(report, "not UTF-8"));
  EXPECT_TRUE(mentions(report, "left out 1 documents (8 bytes): duplicates"));
  request_.max_errors = 2;
  request_.output = folder_ / "other";
  expect_error(ErrorCode::kConfig, "3 broken documents, more than --max-errors 2",
               [&] { (void)prepare({"a.jsonl"}); });
  EXPECT_FALSE(fs::exists(folder_ / "other"));
  EXPECT_FALSE(fs::exists(folder_ / "other.unfinished"));
}

TEST_F(PrepareInputsTest, KeepsAllTextUnlessACapIsAskedForAndSaysWhatIsBeyond) {
  std::int64_t bytes = 0;
  for (int i = 0; i < 50; ++i) {
    write("in/" + std::to_string(i) + ".txt", numbered(i));
    bytes += static_cast<std::int64_t>(numbered(i).size());
  }
  prepare({"in"});
  const CorpusSummary summary = summarize_corpus(folder_ / "out");
  EXPECT_EQ(summary.domains[0].train.bytes + summary.domains[0].heldout.bytes, bytes);
  request_.cap_bytes = 1000;
  const PrepareReport report = prepare({"in"});
  EXPECT_TRUE(mentions(report, "beyond --cap-bytes"));
  const CorpusSummary capped = summarize_corpus(folder_ / "out");
  const std::int64_t kept = capped.domains[0].train.bytes + capped.domains[0].heldout.bytes;
  EXPECT_LE(kept, 1000);
  EXPECT_TRUE(
      mentions(report, "kept " + std::to_string(kept) + " of " + std::to_string(bytes) + " bytes of text"));
}

TEST_F(PrepareInputsTest, CutsLongTextsWithoutLosingAByte) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += numbered(i) + (i % 7 == 0 ? "\n" : "");
  write("long.txt", text);
  request_.read.document_bytes = 500;
  request_.keep_duplicates = true;
  request_.heldout_fraction = 0.0;
  prepare({"long.txt"});
  const Tokenizer tokenizer = read_tokenizer_json(folder_ / "out" / kTokenizerFile);
  const TokenDataset train(folder_ / "out" / kTrainFile);
  const TokenDataset heldout(folder_ / "out" / kHeldoutFile);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(train.token_count()));
  train.read(0, tokens);
  std::string joined = tokenizer.decode(tokens);
  std::vector<std::int32_t> one(static_cast<std::size_t>(heldout.token_count()));
  heldout.read(0, one);
  const std::string removed = tokenizer.decode(one);
  EXPECT_EQ(joined.size() + removed.size(), text.size());
  EXPECT_NE(text.find(removed), std::string::npos);
  EXPECT_EQ(joined, std::string(text).erase(text.find(removed), removed.size()));
}

TEST_F(PrepareInputsTest, SeparatesDocumentsOfATextFile) {
  write("a.txt", "one\n%%\ntwo\n%% no\n%%\nthree");
  request_.read.separator = "%%";
  prepare({"a.txt"});
  EXPECT_EQ(documents(), (std::map<std::string, std::string>{
                             {"one\n", "text"}, {"two\n%% no\n", "text"}, {"three", "text"}}));
}

TEST_F(PrepareInputsTest, TheResultDoesNotDependOnThreads) {
  std::string lines;
  for (int i = 0; i < 40'000; ++i) lines += json_line(std::to_string(i * 7919) + " and some more words");
  write("a.jsonl", lines);
  request_.parse.fields.text = "body";
  request_.threads = 1;
  prepare({"a.jsonl"});
  request_.output = folder_ / "other";
  request_.threads = 3;
  prepare({"a.jsonl"});
  EXPECT_EQ(identify_corpus(folder_ / "out"), identify_corpus(folder_ / "other"));
  EXPECT_EQ(documents().size(), 40'000U);
}

TEST_F(PrepareInputsTest, GoesOnWhereItWasInterrupted) {
  struct Stop {};
  std::string lines;
  for (int i = 0; i < 8'000; ++i)
    lines += json_line(std::to_string(i % 7'000 * 7919) + " and " + std::string(3000, 'a' + i % 7'000 % 26));
  write("a.jsonl", lines);
  write("b.jsonl", json_line("the end"));
  request_.parse.fields.text = "body";
  request_.near_duplicates = 0.9;
  request_.inputs = {(folder_ / "a.jsonl").string(), (folder_ / "b.jsonl").string()};
  const auto stop_late = [](const PrepareProgress& progress) {
    if (progress.what == "encoding" && progress.done_bytes > progress.total_bytes * 9 / 10) throw Stop();
  };
  EXPECT_THROW((void)prepare_inputs(request_, stop_late), Stop);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  std::int64_t first_bytes = -1;
  const PrepareReport report = prepare_inputs(request_, [&](const PrepareProgress& progress) {
    if (first_bytes < 0) first_bytes = progress.done_bytes;
  });
  EXPECT_TRUE(report.continued);
  EXPECT_GT(first_bytes, std::ssize(lines) / 2);
  const CorpusIdentity continued = identify_corpus(folder_ / "out");
  request_.output = folder_ / "whole";
  const PrepareReport whole = prepare_inputs(request_, {});
  EXPECT_FALSE(whole.continued);
  EXPECT_EQ(identify_corpus(folder_ / "whole"), continued);
  EXPECT_EQ(whole.notices, report.notices);
  EXPECT_TRUE(mentions(report, "left out 1000 documents")) << "of texts before the interruption";
}

TEST_F(PrepareInputsTest, SkipsWhatIsDoneAndTakesATokenizerThatIsThere) {
  for (int i = 0; i < 20; ++i) write("in/" + std::to_string(i) + ".txt", numbered(i));
  EXPECT_TRUE(prepare({"in"}).worked);
  EXPECT_FALSE(prepare({"in"}).worked);
  write("more.jsonl", json_line("text of another kind") + json_line("and one more"));
  request_.tokenizer = (folder_ / "out").string();
  request_.output = folder_ / "more";
  request_.parse.fields.text = "body";
  EXPECT_TRUE(prepare({"more.jsonl"}).worked);
  EXPECT_EQ(identify_corpus(folder_ / "more").tokenizer, identify_corpus(folder_ / "out").tokenizer);
  write("run/corpus/tokenizer.json",
        read_file(folder_ / "out/tokenizer.json", 1 << 20));  // as a run keeps it
  request_.tokenizer = (folder_ / "run").string();
  request_.output = folder_ / "of_a_run";
  EXPECT_TRUE(prepare({"more.jsonl"}).worked);
  EXPECT_EQ(identify_corpus(folder_ / "of_a_run"), identify_corpus(folder_ / "more"));
  expect_error(ErrorCode::kConfig, "train:8192", [&] {
    request_.tokenizer = (folder_ / "nowhere").string();
    (void)prepare({"in"});
  });
  expect_error(ErrorCode::kConfig, "a number from 300", [&] {
    request_.tokenizer = "train:12";
    (void)prepare({"in"});
  });
}

TEST_F(PrepareInputsTest, PutsTheTokenizersBeginOfTextBeforeEachDocument) {
  for (int i = 0; i < 9; ++i) write("in/" + std::to_string(i) + ".txt", numbered(i));
  request_.tokenizer = TROUPE_SOURCE_DIR "/tests/data/tokenizer/kinds/llama3.json";
  prepare({"in"});
  EXPECT_EQ(documents().size(), 9U);
  const TokenDataset train(folder_ / "out" / kTrainFile);
  ASSERT_NE(train.header().begin_of_text, kNoToken);
  for (std::int64_t d = 0; d < train.document_count(); ++d) {
    std::vector<std::int32_t> first(1);
    train.read(train.document(d).first, first);
    EXPECT_EQ(first[0], train.header().begin_of_text);
  }
}

TEST_F(PrepareInputsTest, LeavesOutNearDuplicatesWhenAsked) {
  std::string original;
  for (int i = 0; i < 200; ++i)
    original += "word" + std::to_string(i * i % 97) + (i % 3 == 0 ? " and " : " ");
  write("in/a.txt", original);
  write("in/b.txt", original + "one word more");
  write("in/c.txt", numbered(1) + numbered(2));
  write("in/d.txt",
        original.substr(0, original.size() / 2) + original.substr(0, 99) + numbered(3));  // of half of it
  request_.near_duplicates = 0.8;
  EXPECT_TRUE(mentions(prepare({"in"}), "left out 1 documents"));
  EXPECT_EQ(documents().size(), 3U);
}

template <class Number>
std::string bytes_of(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

class TokenFilesTest : public PrepareInputsTest {
 protected:
  TokenFilesTest() {
    for (int i = 0; i < 20; ++i) write("in/" + std::to_string(i) + ".txt", numbered(i));
    prepare({"in"});
    request_.tokenizer = (folder_ / "out").string();
    request_.output = folder_ / "tokens";
  }
  [[nodiscard]] std::vector<std::int32_t> encode(const std::string& text) const {
    return read_tokenizer_json(folder_ / "out" / kTokenizerFile).encode(text);
  }
  [[nodiscard]] std::int32_t end_of_text() const {
    return read_tokenizer_json(folder_ / "out" / kTokenizerFile).end_of_text();
  }
  /// The three texts one after the other, each with an end of text.
  template <class Number>
  std::vector<Number> stream() const {
    std::vector<Number> tokens;
    for (const char* text : {"first", "second text", "third"}) {
      for (const std::int32_t token : encode(text)) tokens.push_back(static_cast<Number>(token));
      tokens.push_back(static_cast<Number>(end_of_text()));
    }
    return tokens;
  }
  void expect_three_texts() const {
    EXPECT_EQ(documents("tokens"), (std::map<std::string, std::string>{
                                       {"first", "text"}, {"second text", "text"}, {"third", "text"}}));
  }
};

TEST_F(TokenFilesTest, ReadsNanoGptsBins) {
  write("train.bin", bytes_of(stream<std::uint16_t>()));
  prepare({"train.bin"});
  expect_three_texts();
}

TEST_F(TokenFilesTest, ReadsLlmCsBins) {
  for (const std::int32_t magic : {20240520, 20240801}) {
    std::vector<std::int32_t> header(256, 0);
    const bool wide = magic == 20240801;
    header[0] = magic;
    header[1] = wide ? 7 : 1;
    header[2] = static_cast<std::int32_t>(stream<std::uint16_t>().size());
    const std::string tokens = wide ? bytes_of(stream<std::uint32_t>()) : bytes_of(stream<std::uint16_t>());
    write("train.bin", bytes_of(header) + tokens);
    prepare({"train.bin"});
    expect_three_texts();
    write("bad.bin", bytes_of(header) + tokens + "xxxx");
    expect_error(ErrorCode::kCorrupt, "its header says", [&] { (void)prepare({"bad.bin"}); });
  }
}

std::string megatron_index(std::uint8_t type, const std::vector<std::int32_t>& sizes,
                           const std::vector<std::int64_t>& places,
                           const std::vector<std::int64_t>& documents) {
  const std::vector<std::uint64_t> version{1};
  const std::vector<std::uint64_t> counts{sizes.size(), documents.size()};
  return std::string("MMIDIDX\0\0", 9) + bytes_of(version) + static_cast<char>(type) + bytes_of(counts) +
         bytes_of(sizes) + bytes_of(places) + bytes_of(documents);
}

TEST_F(TokenFilesTest, ReadsMegatronsPairsAndRefusesWhatDoesNotFit) {
  const auto tokens = stream<std::uint16_t>();
  std::vector<std::int32_t> sizes;
  std::vector<std::int64_t> places;
  std::int64_t place = 0;
  for (const char* text : {"first", "second text", "third"}) {
    sizes.push_back(static_cast<std::int32_t>(encode(text).size()) + 1);
    places.push_back(place);
    place += 2 * sizes.back();
  }
  write("m/corpus.bin", bytes_of(tokens));
  const std::string good = megatron_index(8, sizes, places, {0, 1, 2, 3});
  write("m/corpus.idx", good);
  request_.domain = "text";
  prepare({"m"});
  expect_three_texts();
  const Random random(4, RandomPurpose::kTest);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    std::string bad = good;
    bad[random.below(2 * i, good.size())] = static_cast<char>(random.below(2 * i + 1, 256));
    std::ofstream(folder_ / "m/corpus.idx", std::ios::binary) << bad;
    const std::vector<InputFile> files{{folder_ / "m/corpus.bin", InputKind::kMegatron, "text", 1}};
    try {
      InputReader reader(files, {});
      RawBatch batch;
      while (reader.next(batch)) {
      }
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kConfig) << error.what();
    }
  }
}

TEST_F(TokenFilesTest, AreRefusedWithoutTheirTokenizerAndWhenPacked) {
  write("train.bin", bytes_of(stream<std::uint16_t>()));
  write("packed.bin.gz", gzip(bytes_of(stream<std::uint16_t>())));
  expect_error(ErrorCode::kConfig, "unpack it first", [&] { (void)prepare({"packed.bin.gz"}); });
  request_.tokenizer = "train:300";
  expect_error(ErrorCode::kConfig, "name the one that made them with --tokenizer", [&] {
    (void)prepare({"in", "train.bin"});
  });
}

TEST_F(TokenFilesTest, LeavesOutDocumentsWithTokensOutsideTheVocabulary) {
  auto tokens = stream<std::uint16_t>();
  tokens[1] = 60000;
  write("train.bin", bytes_of(tokens));
  EXPECT_TRUE(mentions(prepare({"train.bin"}), "tokens outside the vocabulary"));
  EXPECT_EQ(documents("tokens").size(), 2U);
}

TEST_F(PrepareInputsTest, RefusesParquetWithTheCommandThatHelps) {
  write("a.parquet", "PAR1");
  expect_error(ErrorCode::kConfig, "python3 -c \"import sys, pandas; pandas.read_parquet",
               [&] { (void)prepare({"a.parquet"}); });
}

TEST_F(PrepareInputsTest, RefusesInputsThatGiveNothing) {
  write("one.txt", "one document\n");
  write("empty.txt", "");
  write("folder/picture.png", "x");
  expect_error(ErrorCode::kConfig, "cut it with --separator", [&] { (void)prepare({"one.txt"}); });
  expect_error(ErrorCode::kConfig, "no document is left", [&] { (void)prepare({"empty.txt"}); });
  expect_error(ErrorCode::kConfig, "no .txt, .md", [&] { (void)prepare({"folder"}); });
  expect_error(ErrorCode::kConfig, "there is no such file", [&] { (void)prepare({"missing.txt"}); });
}

TEST_F(PrepareInputsTest, ReadsPatterns) {
  for (const char* file : {"in/a/1.txt", "in/a/2.md", "in/3.txt"}) write(file, std::string(file));
  prepare({"in/**/*.txt"});
  EXPECT_EQ(documents(), (std::map<std::string, std::string>{{"in/a/1.txt", "a"}, {"in/3.txt", "in"}}));
}

TEST_F(PrepareInputsTest, MutatedJsonLinesNeverCrash) {
  const std::string good =
      json_line("a text", "x") + json_line("another text with \\u00e9", "y") + json_line("z");
  const Random random(6, RandomPurpose::kTest);
  FaultCounts faults;
  const InputFile file{.path = "a.jsonl", .kind = InputKind::kJsonLines, .domain = "text"};
  int taken = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    RawBatch batch;
    batch.file = &file;
    batch.bytes = good;
    for (std::uint64_t k = 0; k < 3; ++k) {
      batch.bytes[random.below(6 * i + 2 * k, good.size())] =
          static_cast<char>(random.below(6 * i + 2 * k + 1, 256));
    }
    std::size_t begin = 0;
    for (std::int64_t line = 1; begin < batch.bytes.size(); ++line) {
      const std::size_t end = std::min(batch.bytes.find('\n', begin), batch.bytes.size());
      batch.documents.push_back({begin, end - begin, line});
      begin = end + 1;
    }
    parse_documents(batch, {.fields = {.text = "body", .domain = "meta.source"}}, faults,
                    [&](const ParsedDocument&) { ++taken; });
  }
  EXPECT_GT(taken, 5000);
  EXPECT_GT(faults.errors(), 5000);
}

}  // namespace
}  // namespace troupe::data
