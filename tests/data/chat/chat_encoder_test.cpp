#include "data/chat/chat_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/data/expect_error.h"

namespace troupe::data {
namespace {

using Spans = std::vector<std::int64_t>;

/// Bytes as ids of their own (nothing is merged), then the end of text and the special tokens from 256 on.
Tokenizer byte_tokenizer(std::vector<std::string> specials, const std::string& begin_of_text = "") {
  Vocabulary vocabulary = BpeTrainer({.vocab_size = 300, .special_tokens = std::move(specials)}).train();
  vocabulary.begin_of_text = begin_of_text;
  return Tokenizer(std::move(vocabulary));
}

struct Encoded {
  std::vector<TokenId> tokens;
  Spans trained;
};

Encoded encoded(ChatTemplate chat, const Tokenizer& tokenizer, std::vector<ChatMessage> messages) {
  Encoded result{.tokens = {7}, .trained = {}};  // what was there before
  Encoder encoder(tokenizer);
  ChatEncoder(chat, tokenizer)
      .encode(write_chat(chat, {.messages = std::move(messages)}), encoder, result.tokens, result.trained);
  EXPECT_EQ(result.tokens.front(), 7);
  result.tokens.erase(result.tokens.begin());
  return result;
}

/// Ids of text and special tokens.
class Ids {
 public:
  explicit Ids(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  Ids& text(std::string_view text) {
    const auto tokens = tokenizer_.encode(text);
    ids_.insert(ids_.end(), tokens.begin(), tokens.end());
    return *this;
  }
  Ids& id(TokenId id) {
    ids_.push_back(id);
    return *this;
  }
  [[nodiscard]] const std::vector<TokenId>& ids() const { return ids_; }

 private:
  const Tokenizer& tokenizer_;
  std::vector<TokenId> ids_;
};

const std::vector<ChatMessage> kGreeting = {{Role::kUser, "Hi"}, {Role::kAssistant, "Yo!"}};

TEST(ChatEncoder, GivesSpecialTokensAndTrainsTheAnswerWithItsEnd) {
  const Tokenizer tokenizer = byte_tokenizer({"<|im_start|>", "<|im_end|>"});
  const Encoded chat = encoded(ChatTemplate::kChatml, tokenizer, kGreeting);
  EXPECT_EQ(chat.tokens, Ids(tokenizer)
                             .id(257)
                             .text("user\nHi")
                             .id(258)
                             .text("\n")
                             .id(257)
                             .text("assistant\nYo!")
                             .id(258)
                             .text("\n")
                             .ids());
  EXPECT_EQ(chat.trained, (Spans{21, 25}));  // "Yo!" and the end of the turn
}

/// A committed tokenizer of a kind, with the added tokens that its published relatives have.
Tokenizer kind_with(const std::string& kind, const std::vector<std::string>& specials,
                    const std::vector<std::string>& others) {
  const std::string file = TROUPE_SOURCE_DIR "/tests/data/tokenizer/kinds/" + kind + ".json";
  auto document = nlohmann::json::parse(read_file(file, 1 << 20));
  std::size_t id = document["model"]["vocab"].size();
  const auto add = [&](const std::string& name, bool special) {
    auto& added = document["added_tokens"];
    if (std::ranges::any_of(added, [&](const auto& token) { return token["content"] == name; })) return;
    added.push_back({{"id", id++}, {"content", name}, {"special", special}, {"normalized", false}});
  };
  for (const std::string& name : specials) add(name, true);
  for (const std::string& name : others) add(name, false);
  return parse_tokenizer_json(document.dump(), kind);
}

// Hugging Face's apply_chat_template encodes the whole text at once; that our tokenizers encode as theirs do
// is tested in kinds_test.cpp.
TEST(ChatEncoder, GivesTheIdsThatTheWholeTextHas) {
  const std::vector<ChatMessage> messages = {{Role::kSystem, "Réponds brièvement 12345."},
                                             {Role::kUser, " Who's there?\n\n  x"},
                                             {Role::kAssistant, "I'm here.\n"},
                                             {Role::kUser, "And 中文?"},
                                             {Role::kAssistant, " 2024 yes"}};
  const struct {
    ChatTemplate chat;
    const char* kind;
    std::vector<std::string> others;
  } cases[] = {{ChatTemplate::kChatml, "gpt2", {}},
               {ChatTemplate::kChatml, "qwen", {}},
               {ChatTemplate::kQwen3, "qwen", {"<think>", "</think>"}},
               {ChatTemplate::kLlama3, "llama3", {}}};
  for (const auto& [chat, kind, others] : cases) {
    const Tokenizer tokenizer = kind_with(kind, special_names(chat), others);
    const Encoded ours = encoded(chat, tokenizer, messages);
    std::string whole;
    for (const ChatPiece& piece : write_chat(chat, {.messages = messages})) whole += piece.text;
    EXPECT_EQ(ours.tokens, tokenizer.encode(whole, SpecialNames::kAreTokens)) << kind;
    ASSERT_EQ(ours.trained.size(), 4U);
    for (std::size_t i = 0; i < 4; i += 2) {
      const auto begin = ours.tokens.begin() + ours.trained[i];
      const std::vector<TokenId> answer(begin, ours.tokens.begin() + ours.trained[i + 1]);
      EXPECT_EQ(answer.back(), ChatEncoder(chat, tokenizer).end_of_turn());
      EXPECT_NE(tokenizer.decode(answer).find(i == 0 ? "I'm here." : "2024 yes"), std::string::npos);
    }
  }
}

TEST(ChatEncoder, NamesOfSpecialTokensInAMessageAreText) {
  const Tokenizer tokenizer = byte_tokenizer({"<|im_start|>", "<|im_end|>"});
  const Encoded chat = encoded(ChatTemplate::kChatml, tokenizer,
                               {{Role::kUser, "<|im_end|>"}, {Role::kAssistant, "<|endoftext|>"}});
  EXPECT_EQ(std::ranges::count(chat.tokens, 258), 2);
  EXPECT_EQ(std::ranges::count(chat.tokens, 256), 0);
}

TEST(ChatEncoder, LeavesTheEndOfTextToTheFrameAndTrainsIt) {
  const Tokenizer tokenizer = byte_tokenizer({});
  const Encoded chat =
      encoded(ChatTemplate::kPlain, tokenizer,
              {{Role::kUser, "A"}, {Role::kAssistant, "B"}, {Role::kUser, "C"}, {Role::kAssistant, "D"}});
  EXPECT_EQ(chat.tokens,
            Ids(tokenizer).text("User: A\nAssistant: B").id(256).text("User: C\nAssistant: D").ids());
  EXPECT_EQ(chat.trained, (Spans{18, 21, 39, 42}));
  EXPECT_EQ(std::ssize(chat.tokens), 41);  // and the frame's end of text
}

TEST(ChatEncoder, LeavesTheBeginOfTextToTheFrameWhereTheTokenizerHasOne) {
  const std::vector<std::string> names = special_names(ChatTemplate::kLlama3);
  const Tokenizer framed = byte_tokenizer(names, "<|begin_of_text|>");
  const Tokenizer bare = byte_tokenizer(names);
  const auto expected = Ids(bare)
                            .id(257)
                            .id(258)
                            .text("user")
                            .id(259)
                            .text("\n\nHi")
                            .id(260)
                            .id(258)
                            .text("assistant")
                            .id(259)
                            .text("\n\nYo!")
                            .id(260)
                            .ids();
  const Encoded chat = encoded(ChatTemplate::kLlama3, bare, kGreeting);
  EXPECT_EQ(chat.tokens, expected);
  EXPECT_EQ(chat.trained, (Spans{25, 29}));
  const Encoded without = encoded(ChatTemplate::kLlama3, framed, kGreeting);
  EXPECT_EQ(without.tokens, std::vector(expected.begin() + 1, expected.end()));
  EXPECT_EQ(without.trained, (Spans{24, 28}));
}

TEST(ChatEncoder, AQuestionIsTheBeginningOfItsConversation) {
  for (const auto chat : {ChatTemplate::kChatml, ChatTemplate::kLlama3, ChatTemplate::kPlain}) {
    const Tokenizer tokenizer = byte_tokenizer(special_names(chat));
    const Encoded whole = encoded(chat, tokenizer, kGreeting);
    const auto question = ChatEncoder(chat, tokenizer).encode_question({{Role::kUser, "Hi"}});
    EXPECT_EQ(question, std::vector(whole.tokens.begin(), whole.tokens.begin() + whole.trained[0]));
  }
}

TEST(ChatEncoder, KnowsWhatEndsAnAnswer) {
  const Tokenizer chatml = byte_tokenizer({"<|im_start|>", "<|im_end|>"});
  EXPECT_EQ(ChatEncoder(ChatTemplate::kChatml, chatml).end_of_turn(), 258);
  EXPECT_EQ(ChatEncoder(ChatTemplate::kPlain, chatml).end_of_turn(), 256);
}

TEST(ChatEncoder, RefusesATokenizerWithoutTheTokensOfTheTemplate) {
  const Tokenizer tokenizer = byte_tokenizer({"<|im_end|>"});
  expect_error(ErrorCode::kConfig,
               "--chat chatml: the tokenizer has no special token <|im_start|>: take --chat plain",
               [&] { const ChatEncoder encoder(ChatTemplate::kChatml, tokenizer); });
  expect_error(ErrorCode::kConfig, "<|begin_of_text|>, <|start_header_id|>, <|end_header_id|>, <|eot_id|>",
               [&] { const ChatEncoder encoder(ChatTemplate::kLlama3, tokenizer); });
  EXPECT_NO_THROW(ChatEncoder(ChatTemplate::kPlain, tokenizer));
}

}  // namespace
}  // namespace troupe::data
