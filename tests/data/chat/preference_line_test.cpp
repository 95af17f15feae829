#include "data/chat/preference_line.h"

#include <gtest/gtest.h>

#include "data/chat/chat_template.h"

namespace troupe::data {
namespace {

const Conversation kGood{.messages = {{Role::kUser, "Hi"}, {Role::kAssistant, "Hello."}}};
const Conversation kBad{.messages = {{Role::kUser, "Hi"}, {Role::kAssistant, "No."}}};

TEST(PreferenceLine, ReadsMessagesWithAndWithoutAPromptOfTheirOwn) {
  for (
      const char* line :
      {R"({"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Hello."}],
            "rejected": [{"role": "assistant", "content": "No."}], "score": 3})",
       R"({"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
            "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No."}]})",
       R"({"prompt": "Hi", "chosen": [{"role": "assistant", "content": "Hello."}],
            "rejected": [{"role": "assistant", "content": "No."}]})",
       R"({"prompt": "Hi", "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
            "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No."}]})"}) {
    const PreferenceLine parsed = parse_preference_line(line);
    EXPECT_FALSE(parsed.fault) << parsed.what;
    EXPECT_EQ(parsed.chosen, kGood) << line;
    EXPECT_EQ(parsed.rejected, kBad) << line;
  }
}

TEST(PreferenceLine, ReadsTextsAsCompletions) {
  const PreferenceLine line = parse_preference_line(
      R"({"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5", "from": {"name": "sums"}})", "from.name");
  EXPECT_FALSE(line.fault) << line.what;
  EXPECT_EQ(line.chosen.messages[1].content, " 4");
  EXPECT_EQ(line.rejected.messages[1].content, " 5");
  EXPECT_TRUE(line.chosen.is_completion && line.rejected.is_completion);
  EXPECT_EQ(line.domain, "sums");
}

TEST(PreferenceLine, SaysWhatIsWrong) {
  struct Wrong {
    const char* line;
    Fault fault;
    const char* what;
  };
  const Wrong wrongs[] = {
      {"{", Fault::kBrokenLine, "no JSON object"},
      {"{\"prompt\": \"\xFF\"}", Fault::kNoUtf8, "not UTF-8"},
      {R"({"prompt": "x", "completion": "y"})", Fault::kNoPreference,
       "there is no 'chosen', but: completion, prompt"},
      {R"({"prompt": "x", "chosen": "y"})", Fault::kNoPreference,
       "there is no 'rejected', but: chosen, prompt"},
      {R"({"chosen": "y", "rejected": "z"})", Fault::kNoPreference, "there is no 'prompt'"},
      {R"({"prompt": "x", "chosen": "y", "rejected": 2})", Fault::kNoTextContent,
       "its 'rejected' is number instead of text"},
      {R"({"prompt": "x", "chosen": "y", "rejected": "y"})", Fault::kNoPreference,
       "chosen and rejected are the same"},
      {R"({"prompt": "x", "chosen": [], "rejected": []})", Fault::kNoConversation,
       "its 'chosen' are no list of messages"},
      {R"({"chosen": [{"role": "user", "content": "x"}], "rejected": [{"role": "user", "content": "y"}]})",
       Fault::kNoAssistant, "'chosen' does not end with the assistant's answer"},
      {R"({"chosen": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "1"}],
           "rejected": [{"role": "user", "content": "y"}, {"role": "assistant", "content": "2"}]})",
       Fault::kNoPreference,
       "chosen and rejected do not differ first in an answer of the assistant: they are answers to different "
       "prompts"}};
  for (const auto& [line, fault, what] : wrongs) {
    const PreferenceLine parsed = parse_preference_line(line);
    EXPECT_EQ(parsed.fault, fault) << line;
    EXPECT_EQ(parsed.what, what) << line;
  }
}

TEST(WritePair, TrainsWhatFollowsTheCommonBeginning) {
  Conversation chosen{.messages = {{Role::kUser, "a"}, {Role::kAssistant, "b"}, {Role::kUser, "c"}}};
  Conversation rejected = chosen;
  chosen.messages.push_back({Role::kAssistant, "yes"});
  rejected.messages.push_back({Role::kAssistant, "no"});
  for (const auto chat :
       {ChatTemplate::kChatml, ChatTemplate::kLlama3, ChatTemplate::kQwen3, ChatTemplate::kPlain}) {
    const ChatPair pair = write_pair(chat, chosen, rejected);
    std::string trained;
    for (const auto* half : {&pair.chosen, &pair.rejected}) {
      for (const ChatPiece& piece : *half) trained += piece.trained ? piece.text + "|" : "";
    }
    EXPECT_EQ(trained.find('b'), std::string::npos) << to_string(chat) << ": " << trained;
    EXPECT_NE(trained.find("yes"), std::string::npos) << to_string(chat);
    EXPECT_NE(trained.find("no"), std::string::npos) << to_string(chat);
    EXPECT_TRUE(pair.chosen.end()[-1].trained || pair.chosen.end()[-2].trained) << "the end of the turn";
  }
}

}  // namespace
}  // namespace troupe::data
