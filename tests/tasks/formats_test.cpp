#include "tasks/formats.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "tests/scratch_folder.h"

namespace troupe::tasks {
namespace {

Question parse(const std::string& line) { return parse_question(line, "f:1"); }

std::string refusal_of(const std::string& line) {
  try {
    static_cast<void>(parse(line));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    return error.what();
  }
  return "taken";
}

std::vector<std::string> answers(const Question& question) {
  std::vector<std::string> all;
  for (const Choice& choice : question.choices) all.push_back(choice.answer);
  return all;
}

using Texts = std::vector<std::string>;

TEST(TaskFormats, HellaSwagsEndingsGoOnFromItsCleanedContext) {
  const Question question = parse(
      R"({"ctx": "A man [he] sits  on a roof. he", "endings": ["falls [title] Down", "starts.", "sings.", "sleeps."],
          "activity_label": "Roof shingle removal", "label": 3, "ind": 4})");
  EXPECT_EQ(question.choices[0].context, "Roof shingle removal: A man sits on a roof. he");
  EXPECT_EQ(answers(question), (Texts{" falls. Down", " starts.", " sings.", " sleeps."}));
  EXPECT_EQ(question.right, 3U);
}

TEST(TaskFormats, ScienceQuestionsAreReadInBothForms) {
  const Question published = parse(
      R"({"id": "M", "question": {"stem": "Which floats?", "choices": [{"text": "iron", "label": "A"},
          {"text": "wood", "label": "B"}, {"text": "lead", "label": "C"}]}, "answerKey": "B"})");
  EXPECT_EQ(published.choices[2].context, "Question: Which floats?\nAnswer:");
  EXPECT_EQ(answers(published), (Texts{" iron", " wood", " lead"}));
  EXPECT_EQ(published.right, 1U);
  const Question flat = parse(
      R"({"question_stem": "Which floats?", "choices": {"text": ["iron", "wood"], "label": ["1", "2"]},
          "answerKey": "1"})");
  EXPECT_EQ(flat.choices[1].context, "Question: Which floats?\nAnswer:");
  EXPECT_EQ(flat.right, 0U);
}

TEST(TaskFormats, PiqaOffersTwoSolutions) {
  const Question question =
      parse(R"({"goal": "Open a jar", "sol1": "hit it", "sol2": "turn it", "label": 1})");
  EXPECT_EQ(question.choices[0].context, "Question: Open a jar\nAnswer:");
  EXPECT_EQ(answers(question), (Texts{" hit it", " turn it"}));
  EXPECT_EQ(question.right, 1U);
}

TEST(TaskFormats, WinoGrandeComparesWhatFollowsTheBlank) {
  const Question question = parse(
      R"({"sentence": "Ann called Eve because _ was late.", "option1": "Ann", "option2": "Eve", "answer": "2"})");
  EXPECT_EQ(question.choices[0].context, "Ann called Eve because Ann");
  EXPECT_EQ(question.choices[1].context, "Ann called Eve because Eve");
  EXPECT_EQ(answers(question), (Texts{" was late.", " was late."}));
  EXPECT_EQ(question.right, 1U);
}

TEST(TaskFormats, MmluAsksForALetter) {
  for (const char* answer : {"2", R"("2")", R"("C")"}) {
    const Question question =
        parse(R"({"question": "2 + 2 =", "choices": ["3", "5", "4"], "subject": "sums", "answer": )" +
              std::string(answer) + "}");
    EXPECT_EQ(question.choices[0].context, "2 + 2 =\nA. 3\nB. 5\nC. 4\nAnswer:");
    EXPECT_EQ(answers(question), (Texts{" A", " B", " C"}));
    EXPECT_EQ(question.right, 2U) << answer;
    EXPECT_EQ(question.group, "sums");
  }
}

TEST(TaskFormats, OwnQuestionsAreChosenOrWritten) {
  const Question chosen = parse(R"({"context": "The sky is", "choices": ["blue", "loud"], "answer": 0})");
  EXPECT_EQ(chosen.choices[1].context, "The sky is");
  EXPECT_EQ(answers(chosen), (Texts{" blue", " loud"}));
  const Question written = parse(R"({"context": "1 + 1 =", "answer": "2", "group": "sums"})");
  EXPECT_TRUE(written.choices.empty());
  EXPECT_EQ(written.context, "1 + 1 =");
  EXPECT_EQ(written.expected, "2");
  EXPECT_EQ(written.group, "sums");
}

TEST(TaskFormats, WhatIsWrongWithALineIsSaid) {
  EXPECT_EQ(refusal_of("[1]"), "f:1: this is no JSON object");
  EXPECT_EQ(refusal_of("{\"a\": "), "f:1: this is no JSON object");
  EXPECT_NE(refusal_of(R"({"text": "a"})").find("no question of a known form"), std::string::npos);
  EXPECT_EQ(refusal_of(R"({"context": "a", "choices": ["b", "c"], "answer": 2})"),
            "f:1: its 'answer' names none of its 2 answers");
  EXPECT_EQ(refusal_of(R"({"context": "a", "choices": ["b", "c"], "answer": -1})"),
            "f:1: its 'answer' names none of its 2 answers");
  EXPECT_NE(refusal_of(R"({"context": "a", "choices": ["b"], "answer": 0})").find("no list of 2 to 26 texts"),
            std::string::npos);
  EXPECT_NE(
      refusal_of(R"({"context": "a", "choices": ["b", 3], "answer": 0})").find("is number instead of text"),
      std::string::npos);
  EXPECT_NE(refusal_of(R"({"goal": "a", "sol1": "b", "sol2": "c"})").find("PIQA publishes labels"),
            std::string::npos);
  EXPECT_NE(
      refusal_of(R"({"sentence": "a b", "option1": "b", "option2": "c", "answer": "1"})").find("has no _"),
      std::string::npos);
  EXPECT_NE(
      refusal_of(R"({"question": {"stem": "a", "choices": [1, 2]}, "answerKey": "A"})").find("is no object"),
      std::string::npos);
  EXPECT_NE(refusal_of(R"({"question": "a", "choices": 3, "answerKey": "A"})").find("f:1: "),
            std::string::npos);
}

TEST(TaskFiles, LinesAreNumberedAndEmptyOnesLeftOut) {
  const test::ScratchFolder folder;
  const auto path = folder.path() / "task.jsonl";
  std::ofstream(path) << R"({"context": "a", "answer": "b"})"
                      << "\r\n\n"
                      << R"({"context": "c", "answer": "d"})";
  EXPECT_EQ(read_questions(path).size(), 2U);
  std::ofstream(path) << R"({"context": "a", "answer": "b"})"
                      << "\n\n{}\n";
  try {
    static_cast<void>(read_questions(path));
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("task.jsonl:3: "), std::string::npos) << error.what();
  }
  std::ofstream(path) << "\n";
  EXPECT_THROW(static_cast<void>(read_questions(path)), Error);
}

}  // namespace
}  // namespace troupe::tasks
