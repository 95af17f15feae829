#include "data/chat/chat_line.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "data/chat/chat_template.h"

namespace troupe::data {
namespace {

struct Wrong {
  const char* line;
  Fault fault;
  const char* what;
};

TEST(ChatLine, ReadsMessages) {
  const ChatLine line = parse_chat_line(
      R"({"id": 1, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi \u00e9"},
          {"role": "assistant", "content": "", "reasoning_content": "well"}], "meta": {"source": "Web"}})",
      "meta.source");
  EXPECT_FALSE(line.fault) << line.what;
  EXPECT_EQ(line.conversation, (Conversation{.messages = {{Role::kSystem, "Be brief."},
                                                          {Role::kUser, "Hi é"},
                                                          {Role::kAssistant, "", "well"}}}));
  EXPECT_EQ(line.domain, "Web");
}

TEST(ChatLine, ReadsPromptAndCompletion) {
  const ChatLine line = parse_chat_line(R"({"prompt": "2 + 2 =", "completion": " 4"})");
  EXPECT_FALSE(line.fault) << line.what;
  EXPECT_EQ(line.conversation, (Conversation{.messages = {{Role::kUser, "2 + 2 ="}, {Role::kAssistant, " 4"}},
                                             .is_completion = true}));
}

TEST(ChatLine, NestedDeeperThanLinesAreIsNoObject) {
  const auto nested = [](std::size_t lists) {
    return parse_chat_line("{\"a\": " + std::string(lists, '[') + std::string(lists, ']') + "}");
  };
  EXPECT_EQ(nested(63).fault, Fault::kNoConversation);
  EXPECT_EQ(nested(64).fault, Fault::kBrokenLine);
}

TEST(ChatLine, SaysWhatIsWrong) {
  const Wrong wrongs[] = {
      {"{\"messages\": [", Fault::kBrokenLine, "no JSON object"},
      {"[]", Fault::kBrokenLine, "no JSON object"},
      {"{\"prompt\": \"\xFF\"}", Fault::kNoUtf8, "not UTF-8"},
      {R"({"conversations": [], "id": 3})", Fault::kNoConversation,
       "neither 'messages' nor 'prompt' and 'completion', but: conversations, id"},
      {R"({"messages": []})", Fault::kNoConversation, "its 'messages' are no list of messages"},
      {R"({"messages": "Hi"})", Fault::kNoConversation, "its 'messages' are no list of messages"},
      {R"({"messages": ["Hi"]})", Fault::kNoConversation, "message 1: it is no object with role and content"},
      {R"({"prompt": "Hi"})", Fault::kNoConversation, "there is no 'completion'"},
      {R"({"completion": "Hi"})", Fault::kNoConversation, "there is no 'prompt'"},
      {R"({"prompt": "Hi", "completion": ["x"]})", Fault::kNoTextContent,
       "its 'completion' is array instead of text"},
      {R"({"messages": [{"role": "user", "content": "x"}, {"role": "human", "content": "x"}]})",
       Fault::kUnknownRole, "message 2: its role 'human' is none of system, user, assistant"},
      {R"({"messages": [{"from": "user", "value": "x"}]})", Fault::kUnknownRole,
       "message 1: there is no 'role'"},
      {R"({"messages": [{"role": 1, "content": "x"}]})", Fault::kUnknownRole,
       "message 1: its 'role' is number instead of text"},
      {R"({"messages": [{"role": "assistant", "content": null}]})", Fault::kNoTextContent,
       "message 1: its 'content' is null instead of text"},
      {R"({"messages": [{"role": "assistant"}]})", Fault::kNoTextContent, "message 1: there is no 'content'"},
      {R"({"messages": [{"role": "user", "content": "x"}]})", Fault::kNoAssistant,
       "no message is the assistant's"}};
  for (const Wrong& wrong : wrongs) {
    const ChatLine line = parse_chat_line(wrong.line);
    ASSERT_TRUE(line.fault) << wrong.line;
    EXPECT_EQ(*line.fault, wrong.fault) << wrong.line;
    EXPECT_EQ(line.what, wrong.what) << wrong.line;
    EXPECT_TRUE(is_error(*line.fault)) << wrong.line;
    EXPECT_TRUE(leaves_out(*line.fault)) << wrong.line;
  }
}

// Ten thousand mutations: each is a conversation that every template writes, or has a fault that is named.
TEST(ChatLine, TakesAnyBytes) {
  const std::string good[] = {
      R"({"messages": [{"role": "user", "content": "\ud83d\ude00 é"}, {"role": "assistant", "content": "a</think>b"}]})",
      R"({"prompt": "<think>", "completion": "\u0000\n"})"};
  const Random random(6, RandomPurpose::kTest);
  int understood = 0;
  for (std::uint64_t round = 0; round < 10'000; ++round) {
    std::string line = good[round % 2];
    for (std::uint64_t change = 0; change <= round % 3; ++change) {
      const std::uint64_t key = 10 * round + 3 * change;
      const auto place = random.below(key, line.size());
      const bool letter = round % 4 != 0;  // else any byte, and mostly no UTF-8 any more
      const char byte =
          static_cast<char>(letter ? 'a' + random.below(key + 1, 26) : random.below(key + 1, 256));
      if (random.below(key + 2, 3) == 0) {
        line.erase(place, 1);
      } else {
        line[place] = byte;
      }
    }
    const ChatLine parsed = parse_chat_line(line, "");
    ASSERT_NE(parsed.fault.has_value(), parsed.what.empty()) << line;
    if (parsed.fault) continue;
    ++understood;
    for (const auto chat :
         {ChatTemplate::kChatml, ChatTemplate::kLlama3, ChatTemplate::kQwen3, ChatTemplate::kPlain}) {
      const auto pieces = write_chat(chat, parsed.conversation);
      ASSERT_TRUE(std::ranges::any_of(pieces, &ChatPiece::trained)) << line;
    }
  }
  EXPECT_GT(understood, 300);
  EXPECT_LT(understood, 9000);
}

TEST(ChatLine, NeedsTheDomainThatWasAskedFor) {
  const ChatLine line = parse_chat_line(R"({"prompt": "a", "completion": "b", "kind": 7})", "kind");
  ASSERT_TRUE(line.fault);
  EXPECT_EQ(line.what, "no text in 'kind'");
}

}  // namespace
}  // namespace troupe::data
