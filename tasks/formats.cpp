#include "tasks/formats.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace troupe::tasks {
namespace {

using nlohmann::json;

constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr std::size_t kMostChoices = 26;  // letters

/// A line's members, with errors that name it.
class Line {
 public:
  Line(const json& object, std::string_view where) : object_(object), where_(where) {}

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::kConfig, "{}: {}", where_, what);
  }
  [[nodiscard]] bool has(const char* name) const { return object_.contains(name); }
  [[nodiscard]] const json& member(const char* name) const {
    if (!has(name)) refuse(fmt::format("there is no '{}'", name));
    return object_[name];
  }
  [[nodiscard]] std::string text(const char* name) const { return as_text(member(name), name); }
  [[nodiscard]] std::string text_or_none(const char* name) const { return has(name) ? text(name) : ""; }
  [[nodiscard]] std::string as_text(const json& value, const char* name) const {
    if (!value.is_string()) refuse(fmt::format("its '{}' is {} instead of text", name, value.type_name()));
    return value.get<std::string>();
  }
  [[nodiscard]] std::vector<std::string> texts(const json& values, const char* name) const {
    if (!values.is_array() || values.size() < 2 || values.size() > kMostChoices)
      refuse(fmt::format("its '{}' are no list of 2 to {} texts", name, kMostChoices));
    std::vector<std::string> all;
    for (const json& value : values) all.push_back(as_text(value, name));
    return all;
  }
  /// A number from `first` on, as a number or as text, or a letter; returned from 0 on.
  [[nodiscard]] std::size_t index(const char* name, std::size_t count, std::int64_t first) const {
    const json& value = member(name);
    std::optional<std::int64_t> found;
    if (value.is_number_integer()) found = value.get<std::int64_t>() - first;
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      if (text.size() == 1 && text[0] >= '0' && text[0] <= '9') found = text[0] - '0' - first;
      if (text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z') found = text[0] - 'A';
    }
    if (!found || *found < 0 || *found >= static_cast<std::int64_t>(count))
      refuse(fmt::format("its '{}' names none of its {} answers", name, count));
    return static_cast<std::size_t>(*found);
  }

 private:
  const json& object_;
  std::string_view where_;
};

Question offer(const std::string& context, const std::vector<std::string>& answers, std::size_t right) {
  Question question;
  for (const std::string& answer : answers) question.choices.push_back({context, " " + answer});
  question.right = right;
  return question;
}

std::string asked(const std::string& question) { return "Question: " + question + "\nAnswer:"; }

/// HellaSwag's texts come from pages with titles and stage directions.
std::string cleaned(std::string text) {
  static const std::regex title(R"( \[title\])");
  static const std::regex bracketed(R"(\[[^\]]*\])");
  static const std::regex spaces("  +");
  text = std::regex_replace(text, title, ". ");
  text = std::regex_replace(text, bracketed, "");
  text = std::regex_replace(text, spaces, " ");
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

Question hellaswag(const Line& line) {
  std::vector<std::string> endings = line.texts(line.member("endings"), "endings");
  for (std::string& ending : endings) ending = cleaned(ending);
  const std::string activity = line.text_or_none("activity_label");
  const std::string context = activity.empty() ? line.text("ctx") : activity + ": " + line.text("ctx");
  return offer(cleaned(context), endings, line.index("label", endings.size(), 0));
}

/// The number of the label that is the answer's key.
std::size_t keyed(const Line& line, const std::vector<std::string>& labels) {
  const std::string key = line.text("answerKey");
  const auto found = std::ranges::find(labels, key);
  if (found == labels.end()) line.refuse(fmt::format("its 'answerKey' {} is no label of its choices", key));
  return static_cast<std::size_t>(found - labels.begin());
}

Question science(const Line& line) {
  std::vector<std::string> answers;
  std::vector<std::string> labels;
  std::string stem;
  if (line.has("question") && line.member("question").is_object()) {
    const json& question = line.member("question");
    const Line inner(question, "the question");
    stem = line.as_text(question.value("stem", json()), "stem");
    const json choices = question.value("choices", json::array());
    if (!choices.is_array()) line.refuse("its 'choices' are no list");
    for (const json& choice : choices) {
      if (!choice.is_object()) line.refuse("one of its 'choices' is no object with text and label");
      answers.push_back(line.as_text(choice.value("text", json()), "text"));
      labels.push_back(line.as_text(choice.value("label", json()), "label"));
    }
    if (answers.size() < 2 || answers.size() > kMostChoices)
      line.refuse(fmt::format("it has {} choices: 2 to {} are read", answers.size(), kMostChoices));
  } else {
    stem = line.has("question_stem") ? line.text("question_stem") : line.text("question");
    const json& choices = line.member("choices");
    if (!choices.is_object()) line.refuse("its 'choices' are no object with texts and labels");
    answers = line.texts(choices.value("text", json()), "text");
    labels = line.texts(choices.value("label", json()), "label");
    if (answers.size() != labels.size()) line.refuse("its choices have another number of texts than labels");
  }
  return offer(asked(stem), answers, keyed(line, labels));
}

Question piqa(const Line& line) {
  if (!line.has("label"))
    line.refuse("there is no 'label': PIQA publishes labels in a file of their own; add them to the lines");
  return offer(asked(line.text("goal")), {line.text("sol1"), line.text("sol2")}, line.index("label", 2, 0));
}

/// The likelihood is that of what follows the blank: the same text after each of the options.
Question winogrande(const Line& line) {
  const std::string sentence = line.text("sentence");
  const auto blank = sentence.find('_');
  if (blank == std::string::npos || blank + 1 == sentence.size())
    line.refuse("its 'sentence' has no _ with text after it");
  std::string rest = sentence.substr(blank + 1);
  rest.erase(0, rest.find_first_not_of(' '));
  Question question;
  for (const char* option : {"option1", "option2"})
    question.choices.push_back({sentence.substr(0, blank) + line.text(option), " " + rest});
  question.right = line.index("answer", 2, 1);
  return question;
}

/// Answers are letters.
Question mmlu(const Line& line) {
  const std::vector<std::string> answers = line.texts(line.member("choices"), "choices");
  std::string context = line.text("question");
  std::vector<std::string> letters;
  for (const std::string& answer : answers) {
    letters.emplace_back(1, static_cast<char>('A' + letters.size()));
    context += "\n" + letters.back() + ". " + answer;
  }
  Question question = offer(context + "\nAnswer:", letters, line.index("answer", answers.size(), 0));
  question.group = line.text_or_none("subject");
  return question;
}

Question own(const Line& line) {
  Question question;
  if (line.has("choices")) {
    const std::vector<std::string> answers = line.texts(line.member("choices"), "choices");
    question = offer(line.text("context"), answers, line.index("answer", answers.size(), 0));
  } else {
    question.context = line.text("context");
    question.expected = line.text("answer");
  }
  question.group = line.text_or_none("group");
  return question;
}

}  // namespace

Question parse_question(std::string_view text, std::string_view where) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) throw Error(ErrorCode::kConfig, "{}: this is no JSON object", where);
  const Line line(object, where);
  if (line.has("endings")) return hellaswag(line);
  if (line.has("answerKey")) return science(line);
  if (line.has("goal")) return piqa(line);
  if (line.has("sentence")) return winogrande(line);
  if (line.has("question")) return mmlu(line);
  if (line.has("context")) return own(line);
  line.refuse("this is no question of a known form; docs/evaluation.md lists the forms");
}

std::vector<Question> read_questions(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMostBytes);
  std::vector<Question> questions;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    questions.push_back(parse_question(line, fmt::format("{}:{}", path.string(), number)));
  }
  if (questions.empty()) throw Error(ErrorCode::kConfig, "{}: no question is in it", path.string());
  return questions;
}

}  // namespace troupe::tasks
