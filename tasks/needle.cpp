#include "tasks/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/index.h"
#include "base/random.h"

namespace troupe::tasks {
namespace {

constexpr std::string_view kPlainText =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";
constexpr std::array<std::string_view, 12> kCities{"Lisbon", "Oslo",   "Cairo", "Lima", "Quito",  "Tunis",
                                                   "Dakar",  "Warsaw", "Sofia", "Riga", "Madrid", "Vienna"};
constexpr std::int64_t kChoices = 5;

/// Sentences with the space that follows them.
std::vector<std::string> sentences_of(std::string_view text) {
  std::vector<std::string> sentences;
  std::string sentence;
  for (std::size_t i = 0; i < text.size(); ++i) {
    sentence += text[i];
    const bool ends = (text[i] == ' ' || text[i] == '\n') && i > 0 && text[i - 1] == '.';
    if (ends) sentences.push_back(std::exchange(sentence, {}));
  }
  if (!sentence.empty()) sentences.push_back(sentence + " ");
  return sentences;
}

class Haystack {
 public:
  Haystack(const NeedleRequest& request, const data::Tokenizer& tokenizer)
      : tokenizer_(tokenizer),
        sentences_(sentences_of(request.haystack.empty() ? kPlainText : std::string_view(request.haystack))) {
    for (const std::string& sentence : sentences_)
      tokens_.push_back(std::max<std::int64_t>(1, std::ssize(tokenizer.encode(sentence))));
  }

  /// As many sentences around the needle as the length allows.
  [[nodiscard]] std::string context(const std::string& needle, const std::string& question,
                                    std::int64_t length, double depth) const {
    const std::int64_t own = std::ssize(tokenizer_.encode(needle + question));
    if (own > length)
      throw Error(ErrorCode::kConfig, "a context of {} tokens: needle and question alone take {}", length,
                  own);
    const auto fits = [&](std::int64_t sentences) {
      return std::ssize(tokenizer_.encode(around(needle, sentences, depth) + question)) <= length;
    };
    std::int64_t sentences = 0;
    for (std::int64_t used = own; used < length; ++sentences) used += tokens_[at(sentences) % tokens_.size()];
    // Tokens may join otherwise at borders of sentences than was counted.
    while (sentences > 0 && !fits(sentences)) --sentences;
    while (fits(sentences + 1)) ++sentences;
    return around(needle, sentences, depth) + question;
  }

 private:
  [[nodiscard]] std::string around(const std::string& needle, std::int64_t sentences, double depth) const {
    const std::int64_t place = std::llround(depth * static_cast<double>(sentences));
    std::string text;
    for (std::int64_t i = 0; i <= sentences; ++i) {
      if (i == place) text += needle;
      if (i < sentences) text += sentences_[at(i) % sentences_.size()];
    }
    return text;
  }

  const data::Tokenizer& tokenizer_;
  std::vector<std::string> sentences_;
  std::vector<std::int64_t> tokens_;  // of each
};

/// kChoices different numbers of five digits.
std::vector<std::string> numbers(const Random& random, std::uint64_t& next) {
  std::vector<std::string> all;
  while (std::ssize(all) < kChoices) {
    std::string number = std::to_string(10000 + random.below(next++, 90000));
    if (std::ranges::find(all, number) == all.end()) all.push_back(std::move(number));
  }
  return all;
}

}  // namespace

std::vector<std::string> needle_lines(const NeedleRequest& request, const data::Tokenizer& tokenizer) {
  const Haystack haystack(request, tokenizer);
  const Random random(request.seed, RandomPurpose::kTasks);
  std::uint64_t next = 0;
  std::vector<std::string> lines;
  for (const std::int64_t length : request.lengths) {
    for (const double depth : request.depths) {
      for (std::int64_t i = 0; i < request.count; ++i) {
        const std::string_view city = kCities[random.below(next++, kCities.size())];
        const std::vector<std::string> choices = numbers(random, next);
        const auto right = random.below(next++, at(kChoices));
        const std::string fact = fmt::format("The special number of {} is", city);
        const std::string question =
            fmt::format("\nQuestion: What is the special number of {}?\nAnswer: {}", city, fact);
        nlohmann::ordered_json line{{"context", haystack.context(fmt::format("{} {}. ", fact, choices[right]),
                                                                 question, length, depth)}};
        if (request.in_words) {
          line["answer"] = choices[right] + ".";
        } else {
          line["choices"] = choices;
          line["answer"] = right;
        }
        line["group"] = fmt::format("length {}, depth {:.2f}", length, depth);
        lines.push_back(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
      }
    }
  }
  return lines;
}

}  // namespace troupe::tasks
