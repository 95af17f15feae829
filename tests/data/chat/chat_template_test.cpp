// Expectations follow from the published templates (docs/data.md names them), worked out by hand.
#include "data/chat/chat_template.h"

#include <gtest/gtest.h>

namespace troupe::data {
namespace {

/// Special tokens by name, what is trained in double brackets.
std::string shown(const std::vector<ChatPiece>& pieces) {
  std::string text;
  bool trained = false;
  for (const ChatPiece& piece : pieces) {
    if (piece.trained != trained) text += piece.trained ? "[[" : "]]";
    trained = piece.trained;
    text += piece.kind == ChatPiece::Kind::kEnd ? "<eot>" : piece.text;
  }
  return text + (trained ? "]]" : "");
}

std::string written(ChatTemplate chat, std::vector<ChatMessage> messages) {
  return shown(write_chat(chat, {.messages = std::move(messages)}));
}

const std::vector<ChatMessage> kTwoTurns = {{Role::kSystem, "Be brief."},
                                            {Role::kUser, " Capital of France? "},
                                            {Role::kAssistant, "Paris. "},
                                            {Role::kUser, "Sure?"},
                                            {Role::kAssistant, "Yes."}};

TEST(ChatTemplate, WritesChatml) {
  EXPECT_EQ(written(ChatTemplate::kChatml, kTwoTurns),
            "<|im_start|>system\nBe brief.<|im_end|>\n"
            "<|im_start|>user\n Capital of France? <|im_end|>\n"
            "<|im_start|>assistant\n[[Paris. <|im_end|>]]\n"
            "<|im_start|>user\nSure?<|im_end|>\n"
            "<|im_start|>assistant\n[[Yes.<|im_end|>]]\n");
}

TEST(ChatTemplate, WritesLlama3WithContentsStripped) {
  EXPECT_EQ(written(ChatTemplate::kLlama3, kTwoTurns),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nCapital of France?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n[[Paris.<|eot_id|>]]"
            "<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n[[Yes.<|eot_id|>]]");
  EXPECT_EQ(written(ChatTemplate::kLlama3, {{Role::kAssistant, "\u3000\t\n a\u00A0b \x1F\u2003"}}),
            "<|begin_of_text|><|start_header_id|>assistant<|end_header_id|>\n\n[[a\u00A0b<|eot_id|>]]");
}

TEST(ChatTemplate, WritesQwen3WithAThoughtBeforeTheLastAnswerOnly) {
  EXPECT_EQ(written(ChatTemplate::kQwen3, kTwoTurns),
            "<|im_start|>system\nBe brief.<|im_end|>\n"
            "<|im_start|>user\n Capital of France? <|im_end|>\n"
            "<|im_start|>assistant\n[[Paris. <|im_end|>]]\n"
            "<|im_start|>user\nSure?<|im_end|>\n"
            "<|im_start|>assistant\n[[<think>\n\n</think>\n\nYes.<|im_end|>]]\n");
}

TEST(ChatTemplate, KeepsTheThoughtsOfQwen3AfterTheLastQuestionAndDropsEarlierOnes) {
  const ChatMessage thinking{Role::kAssistant, "<think>\nhm\n\nso\n</think>\n\nParis."};
  EXPECT_EQ(written(ChatTemplate::kQwen3, {{Role::kUser, "A?"}, thinking, {Role::kUser, "B?"}, thinking}),
            "<|im_start|>user\nA?<|im_end|>\n"
            "<|im_start|>assistant\n[[Paris.<|im_end|>]]\n"
            "<|im_start|>user\nB?<|im_end|>\n"
            "<|im_start|>assistant\n[[<think>\nhm\n\nso\n</think>\n\nParis.<|im_end|>]]\n");
  const ChatMessage apart{Role::kAssistant, "\nParis.", "\nhm\n"};
  EXPECT_EQ(written(ChatTemplate::kQwen3, {{Role::kUser, "A?"}, apart}),
            "<|im_start|>user\nA?<|im_end|>\n"
            "<|im_start|>assistant\n[[<think>\nhm\n</think>\n\nParis.<|im_end|>]]\n");
}

TEST(ChatTemplate, GivesQwen3NoEmptyThoughtBetweenTwoAnswersAndNoneWithoutAQuestion) {
  EXPECT_EQ(
      written(ChatTemplate::kQwen3, {{Role::kUser, "A?"}, {Role::kAssistant, "1"}, {Role::kAssistant, "2"}}),
      "<|im_start|>user\nA?<|im_end|>\n"
      "<|im_start|>assistant\n[[1<|im_end|>]]\n"
      "<|im_start|>assistant\n[[<think>\n\n</think>\n\n2<|im_end|>]]\n");
  EXPECT_EQ(written(ChatTemplate::kQwen3, {{Role::kAssistant, "1"}}),
            "<|im_start|>assistant\n[[1<|im_end|>]]\n");
  // What a tool answered is no question: the thought before it stays.
  EXPECT_EQ(written(ChatTemplate::kQwen3, {{Role::kUser, "A?"},
                                           {Role::kAssistant, "call", "hm"},
                                           {Role::kUser, "<tool_response>3</tool_response>"},
                                           {Role::kAssistant, "3"}}),
            "<|im_start|>user\nA?<|im_end|>\n"
            "<|im_start|>assistant\n[[<think>\nhm\n</think>\n\ncall<|im_end|>]]\n"
            "<|im_start|>user\n<tool_response>3</tool_response><|im_end|>\n"
            "<|im_start|>assistant\n[[<think>\n\n</think>\n\n3<|im_end|>]]\n");
}

TEST(ChatTemplate, WritesPlainTextThatEndsAnswersWithTheEndOfText) {
  EXPECT_EQ(written(ChatTemplate::kPlain, kTwoTurns),
            "System: Be brief.\nUser:  Capital of France? \nAssistant:[[ Paris. <eot>]]"
            "User: Sure?\nAssistant:[[ Yes.<eot>]]");
}

TEST(ChatTemplate, WritesPromptAndCompletionAsTheyAreInPlainElseAsMessages) {
  const Conversation pair{.messages = {{Role::kUser, "2 + 2 ="}, {Role::kAssistant, " 4"}},
                          .is_completion = true};
  EXPECT_EQ(shown(write_chat(ChatTemplate::kPlain, pair)), "2 + 2 =[[ 4<eot>]]");
  EXPECT_EQ(shown(write_chat(ChatTemplate::kChatml, pair)),
            "<|im_start|>user\n2 + 2 =<|im_end|>\n<|im_start|>assistant\n[[ 4<|im_end|>]]\n");
}

TEST(ChatTemplate, TrainsTheEndOfAnEmptyAnswer) {
  EXPECT_EQ(written(ChatTemplate::kChatml, {{Role::kAssistant, ""}}),
            "<|im_start|>assistant\n[[<|im_end|>]]\n");
}

TEST(ChatTemplate, AQuestionEndsWhereItsAnswerBegins) {
  EXPECT_EQ(shown(write_question(ChatTemplate::kChatml, {{Role::kUser, "Hi"}})),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(shown(write_question(ChatTemplate::kQwen3, {{Role::kUser, "Hi"}})),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(shown(write_question(ChatTemplate::kLlama3, {{Role::kUser, "Hi"}})),
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(shown(write_question(ChatTemplate::kPlain, {{Role::kUser, "Hi"}})), "User: Hi\nAssistant:");
}

TEST(ChatTemplate, AQuestionInAConversationComesAfterAllThatWasSaid) {
  for (const auto chat :
       {ChatTemplate::kChatml, ChatTemplate::kLlama3, ChatTemplate::kQwen3, ChatTemplate::kPlain}) {
    Conversation whole{.messages = {{Role::kSystem, "Be brief."}, {Role::kUser, "One?"}}};
    whole.messages.push_back(written_answer(chat, chat == ChatTemplate::kPlain ? " 1." : "1."));
    whole.messages.push_back({Role::kUser, "Two?"});
    const std::string question = text_of(write_question(chat, whole.messages));
    whole.messages.push_back({Role::kAssistant, "2."});
    const std::string conversation = text_of(write_chat(chat, whole));
    EXPECT_TRUE(conversation.starts_with(question)) << question << "\n---\n" << conversation;
    EXPECT_NE(question.find("Two?"), std::string::npos) << question;
    EXPECT_EQ(question.find("2."), std::string::npos) << question;
  }
}

TEST(ChatTemplate, IsKnownByItsName) {
  for (const char* name : {"chatml", "llama3", "qwen3", "plain"}) {
    const auto chat = chat_template_named(name);
    ASSERT_TRUE(chat) << name;
    EXPECT_EQ(to_string(*chat), name);
  }
  EXPECT_FALSE(chat_template_named("ChatML"));
  EXPECT_FALSE(chat_template_named(""));
}

}  // namespace
}  // namespace troupe::data
