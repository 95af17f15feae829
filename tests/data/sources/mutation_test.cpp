// Inputs of every kind with bytes changed, taken out, repeated or cut off: each is read or refused, cleanly.
// TROUPE_MUTATIONS=10000 asks for so many of each kind instead of 1000.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "data/sources/document_encoder.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/data/sources/packed.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

std::uint64_t mutations() {
  const char* asked = std::getenv("TROUPE_MUTATIONS");
  return asked == nullptr ? 1000 : std::strtoull(asked, nullptr, 10);
}

template <class... Values>
std::string packed_numbers(Values... values) {
  std::string bytes;
  (bytes.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
  return bytes;
}

const std::string kLines = R"({"text": "A text with \u00e9.", "meta": {"source": "x"}})"
                           "\n"
                           R"({"text": "Another one\r\n\u0000", "meta": {"source": "y"}})"
                           "\n";
const std::string kChats =
    R"({"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "<think>\na\n</think>1."}]})"
    "\n"
    R"({"prompt": "2 + 2 =", "completion": " 4"})"
    "\n";
const std::string kPreferences =
    R"({"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"})"
    "\n"
    R"({"prompt": [{"role": "user", "content": "x"}], "chosen": [{"role": "assistant", "content": "y"}],)"
    R"( "rejected": [{"role": "assistant", "content": "z"}]})"
    "\n";

using U16 = std::uint16_t;

Tokenizer tokenizer_of_bytes() { return Tokenizer(BpeTrainer({.vocab_size = 257}).train()); }

std::string nano_tokens() {
  const auto end = static_cast<U16>(tokenizer_of_bytes().end_of_text());
  return packed_numbers(U16{65}, U16{66}, end, U16{67}, end, U16{68});
}

std::string llmc_tokens() {
  std::string header(1024, '\0');
  header.replace(0, 12, packed_numbers(std::int32_t{20240520}, std::int32_t{1}, std::int32_t{6}));
  return header + nano_tokens();
}

std::string megatron_index() {
  return "MMIDIDX" + std::string(2, '\0') +
         packed_numbers(std::uint64_t{1}, std::uint8_t{8}, std::uint64_t{2}) +
         packed_numbers(std::uint64_t{3}, std::int32_t{3}, std::int32_t{3}) +
         packed_numbers(std::int64_t{0}, std::int64_t{6}) +
         packed_numbers(std::int64_t{0}, std::int64_t{1}, std::int64_t{2});
}

struct Kind {
  const char* name;
  const char* file;
  InputKind kind;
  std::string content;
  ParseOptions parse = {};
  std::string beside = {};  // another file of the same stem
  const char* end_of_other = "";
  int least_good = 1;  // documents of the content as it is
};

std::vector<Kind> kinds() {
  const ParseOptions lines{.fields = {.text = "text", .domain = "meta.source"}};
  const ParseOptions chats{.fields = {}, .chat = ChatTemplate::kPlain};
  const ParseOptions pairs{.fields = {}, .chat = ChatTemplate::kPlain, .preferences = true};
  const std::string text = "First.\n\nSecond with \xC3\xA9.\n\n" + std::string(300, 'x') + "\n";
  return {
      {"text", "a.txt", InputKind::kText, text},
      {"gzip", "a.txt.gz", InputKind::kText, gzip(text) + gzip(text)},
      {"zstd", "a.txt.zst", InputKind::kText, zstd(text) + zstd(text)},
      {"xz", "a.txt.xz", InputKind::kText, xz(text) + xz(text)},
      {"lines", "a.jsonl", InputKind::kJsonLines, kLines, lines, "", "", 2},
      {"packed_lines", "a.jsonl.zst", InputKind::kJsonLines, zstd(kLines), lines, "", "", 2},
      {"chats", "a.jsonl", InputKind::kJsonLines, kChats, chats, "", "", 2},
      {"preferences", "a.jsonl", InputKind::kJsonLines, kPreferences, pairs, "", "", 2},
      {"nano_bin", "a.bin", InputKind::kTokenBin, nano_tokens(), {}, "", "", 2},
      {"llmc_bin", "a.bin", InputKind::kTokenBin, llmc_tokens(), {}, "", "", 2},
      {"megatron_bin", "a.bin", InputKind::kMegatron, nano_tokens(), {}, megatron_index(), ".idx", 2},
      {"megatron_index", "a.idx", InputKind::kMegatron, megatron_index(), {}, nano_tokens(), ".bin", 2},
  };
}

std::string mutated(std::string bytes, const Random& random, std::uint64_t index) {
  const auto words = random.words(index);
  const std::size_t place = words[0] % bytes.size();
  const std::size_t size = 1 + words[1] % 12;
  switch (words[2] % 5) {
    case 0:
      bytes[place] = static_cast<char>(words[3]);
      break;
    case 1:
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << words[3] % 8));
      break;
    case 2:
      bytes.erase(place, size);
      break;
    case 3:
      bytes.resize(place);
      break;
    default:
      bytes.insert(words[3] % bytes.size(), std::string(bytes, place, size));
      break;
  }
  return bytes;
}

void put(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

class MutatedInput : public ::testing::TestWithParam<Kind> {
 protected:
  MutatedInput() {
    const std::filesystem::path named = folder_ / GetParam().file;
    if (!GetParam().beside.empty())
      put(folder_ / ("a" + std::string(GetParam().end_of_other)), GetParam().beside);
    const bool index = named.extension() == ".idx";
    file_ = {.path = index ? folder_ / "a.bin" : named, .kind = GetParam().kind, .domain = "text"};
  }

  /// Documents that were taken; every id is the vocabulary's.
  std::size_t read(const std::string& bytes) {
    put(folder_ / GetParam().file, bytes);
    InputReader reader({&file_, 1},
                       {.separator = "", .document_bytes = 64, .end_of_text = tokenizer_.end_of_text()});
    std::size_t documents = 0;
    for (RawBatch raw; reader.next(raw);) {
      const EncodedBatch batch = encoder_.encode(raw);
      documents += batch.documents.size();
      for (const TokenId id : batch.tokens) {
        EXPECT_GE(id, 0);
        EXPECT_LT(id, tokenizer_.vocab_size());
      }
    }
    return documents;
  }

  test::ScratchFolder folder_;
  Tokenizer tokenizer_ = tokenizer_of_bytes();
  DocumentEncoder encoder_{tokenizer_, GetParam().parse, 0.0};
  InputFile file_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, MutatedInput, ::testing::ValuesIn(kinds()),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST_P(MutatedInput, IsReadOrRefusedCleanly) {
  ASSERT_GE(read(GetParam().content), static_cast<std::size_t>(GetParam().least_good));
  const Random random(11, RandomPurpose::kTest);
  std::uint64_t taken = 0;
  for (std::uint64_t i = 0; i < mutations(); ++i) {
    try {
      taken += read(mutated(GetParam().content, random, i));
    } catch (const Error& error) {
      ASSERT_TRUE(error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kConfig)
          << "mutation " << i << ": " << error.what();
      ASSERT_NE(std::string(error.what()).find("/a."), std::string::npos)
          << "names the file: " << error.what();
    }
  }
  EXPECT_GT(taken, 0U);
}

}  // namespace
}  // namespace troupe::data
