#include "data/tokenizer/tokenizer_json.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "data/tokenizer/bpe_trainer.h"
#include "tests/data/tokenizer/test_text.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

std::string message_of(std::string_view text) {
  try {
    (void)parse_tokenizer_json(text, "file.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
    return error.what();
  }
  return "accepted";
}

/// A small valid document: one merge, of "a" and "b".
std::string small_document() {
  BpeTrainer trainer({.vocab_size = 258});
  trainer.add_document("ab ab");
  return to_tokenizer_json(Tokenizer(trainer.train()));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t begin = text.find(from);
  TROUPE_CHECK(begin != std::string::npos, "{} is not in the document", from);
  return text.replace(begin, from.size(), to);
}

TEST(TokenizerJson, WhatIsWrittenIsRead) {
  const std::string text = to_tokenizer_json(small_tokenizer());
  const Tokenizer read = parse_tokenizer_json(text, "file.json");
  EXPECT_EQ(read.vocabulary(), small_tokenizer().vocabulary());
  EXPECT_EQ(read.hash(), small_tokenizer().hash());
  EXPECT_EQ(to_tokenizer_json(read), text);
}

TEST(TokenizerJson, ABeginOfTextIsWrittenAndRead) {
  for (const bool named : {false, true}) {
    std::vector<std::string> specials{"<|user|>"};
    if (named) specials.insert(specials.begin(), "<|begin|>");
    BpeTrainer trainer({.vocab_size = 260, .special_tokens = specials, .begin_of_text = "<|begin|>"});
    trainer.add_document("ab ab");
    const Tokenizer written(trainer.train());
    const Tokenizer read = parse_tokenizer_json(to_tokenizer_json(written), "file.json");
    EXPECT_EQ(read.vocabulary(), written.vocabulary());
    EXPECT_EQ(read.begin_of_text(), named ? 258 : 259);
    EXPECT_EQ(read.document_start(), *read.begin_of_text());
  }
}

TEST(TokenizerJson, ReadsMergesAsPairsAndSpecialTokensOutsideTheVocabulary) {
  std::string text = small_document();
  const Tokenizer expected = parse_tokenizer_json(text, "file.json");
  text = replaced(text, R"("a b")", R"(["a", "b"])");
  text = replaced(text, ",\n      \"<|endoftext|>\": 257", "");
  EXPECT_EQ(parse_tokenizer_json(text, "file.json").vocabulary(), expected.vocabulary());
}

TEST(TokenizerJson, SaysWhatIsWrongAndWhere) {
  struct Case {
    const char* from;
    const char* to;
    const char* message;
  };
  const Case cases[] = {
      {"\"version\"", "version", "file.json: byte 5: not valid JSON"},
      {"\"model\"", "\"models\"", "file.json: /: the key \"model\" is missing"},
      {"\"BPE\"", "\"WordPiece\"", "/model/type: \"WordPiece\" is not supported"},
      {"\"BPE\"", "7", "/model/type: a string is needed here, not number"},
      {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}",
       "/normalizer: {\"type\":\"NFKC\"} is not supported"},
      {"\"add_prefix_space\": false", "\"add_prefix_space\": true", "/pre_tokenizer/add_prefix_space"},
      {"\"use_regex\": true", "\"use_regex\": 7", "/pre_tokenizer/use_regex: true or false is needed here"},
      {"\"type\": \"ByteLevel\"", "\"type\": \"Whitespace\"", "/pre_tokenizer/type: \"Whitespace\""},
      {"\"post_processor\": null", "\"post_processor\": {\"type\": \"TemplateProcessing\"}",
       "/post_processor: the key \"single\" is missing"},
      {"\"post_processor\": null", "\"post_processor\": []",
       "/post_processor: an object is needed here, not array"},
      {"\"byte_fallback\": false", "\"byte_fallback\": true",
       "\"ByteLevel\" beside byte_fallback is not supported"},
      {"\"ignore_merges\": false", "\"ignore_merges\": 1",
       "/model/ignore_merges: true or false is needed here"},
      {"\"dropout\": null", "\"dropout\": 0.1", "/model/dropout: 0.1"},
      {"\"special\": true", "\"special\": false", "there is no special token '<|endoftext|>'"},
      {"\"id\": 257", "\"id\": 5", "but 5 in /added_tokens"},
      {"\"id\": 257", "\"id\": \"x\"", "/added_tokens/0/id: a token id is needed here, not \"x\""},
      {"<|endoftext|>", "<|end|>", "there is no special token"},
      {"\"b\": 65", "\"b\": 64", "/model/vocab/"},
      {"\"b\": 65", "\"b\": -1", "/model/vocab/b: a token id is needed here, not -1"},
      {"\"b\": 65", "\"b\": 1.5", "/model/vocab/b: a token id is needed here, not 1.5"},
      {"\"b\": 65", "\"b\": 9999", "/model/vocab/b: id 9999, but there are only 258 tokens"},
      {"\"b\": 65", "\"b\": 99999999999999999", "/model/vocab/b: token id 99999999999999999 is above"},
      {"\"b\": 65", "\"b\u20AC\": 65", "not written in the byte-level alphabet"},
      {"\"b\": 65", "\"\": 65", "not written in the byte-level alphabet"},
      {"\"b\": 65", "\"bb\": 65", "/model/merges/0: \"b\" is not in the vocabulary"},
      {"\"a b\"", "\"ab\"", "/model/merges/0: \"ab\" is not two tokens"},
      {"\"a b\"", "\"a b c\"", "/model/merges/0: \"a b c\" is not two tokens"},
      {"\"a b\"", "[\"a\"]", "/model/merges/0: a string is needed here, not array"},
      {"\"a b\"", "[\"a\", 7]", "/model/merges/0: a string is needed here, not number"},
      {"\"a b\"", "\"b a\"", "/model/merges/0: \"ba\" is not in the vocabulary"},
      {"\"a b\"", "\"a b\", \"a b\"", "merge 1 repeats the pair"},
  };
  for (const Case& c : cases) {
    const std::string message = message_of(replaced(small_document(), c.from, c.to));
    EXPECT_NE(message.find(c.message), std::string::npos) << c.from << " → " << c.to << ": " << message;
    EXPECT_EQ(message.find("file.json: "), 0U) << message;
  }
}

TEST(TokenizerJson, RefusesDeepNesting) {
  EXPECT_NE(message_of(std::string(1'000'000, '[')).find("nested deeper"), std::string::npos);
}

TEST(TokenizerJson, RefusesALargeFileBeforeReadingIt) {
  const test::ScratchFolder folder;
  const std::filesystem::path path = folder / "tokenizer.json";
  write_file_atomically(path, "{}");
  std::filesystem::resize_file(path, std::uintmax_t{1} << 40);  // a hole: takes no room
  EXPECT_THROW((void)read_tokenizer_json(path), Error);
}

TEST(TokenizerJson, WritesAndReadsFiles) {
  const test::ScratchFolder folder;
  const std::filesystem::path path = folder / "tokenizer.json";
  write_tokenizer_json(small_tokenizer(), path);
  EXPECT_EQ(read_tokenizer_json(path).hash(), small_tokenizer().hash());
}

/// One edit of the document: a byte changed, bytes removed, or a piece copied elsewhere.
std::string mutated(std::string text, const Random& random, std::uint64_t index) {
  const auto words = random.words(index);
  const std::size_t place = words[0] % text.size();
  const std::size_t size = 1 + words[1] % 12;
  switch (words[2] % 3) {
    case 0:
      text[place] = static_cast<char>(words[3]);
      break;
    case 1:
      text.erase(place, size);
      break;
    default:
      text.insert(words[3] % text.size(), std::string(text, place, size));
      break;
  }
  return text;
}

TEST(TokenizerJson, EveryMutationIsReadOrRefusedCleanly) {
  const std::string document = small_document();
  const Random random(7, RandomPurpose::kTest);
  int refused = 0;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const std::string text = mutated(document, random, i);
    try {
      const Tokenizer tokenizer = parse_tokenizer_json(text, "file.json");
      ASSERT_EQ(tokenizer.decode(tokenizer.encode("abba\xFF")), "abba\xFF") << "mutation " << i;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kCorrupt) << "mutation " << i << ": " << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 1500);
}

}  // namespace
}  // namespace troupe::data
