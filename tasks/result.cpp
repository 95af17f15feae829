#include "tasks/result.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace troupe::tasks {
namespace {

/// Of the largest; the first of equal ones.
std::size_t largest(std::span<const double> values) {
  return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
}

std::string_view first_line(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  text = text.substr(begin);
  text = text.substr(0, text.find('\n'));
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

}  // namespace

Interval interval_of(const Score& score) {
  if (score.asked == 0) return {};
  constexpr double kDeviations = 1.959963984540054;  // 97.5 % of a normal distribution lie below
  const auto n = static_cast<double>(score.asked);
  const double z2 = kDeviations * kDeviations;
  const double p = score.share();
  const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kDeviations / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {.low = std::max(0.0, centre - half), .high = std::min(1.0, centre + half)};
}

void TaskScores::add(const Question& question, std::span<const double> likelihoods) {
  std::vector<double> per_byte;
  for (std::size_t i = 0; i < likelihoods.size(); ++i) {
    const auto bytes = std::max<std::size_t>(1, question.choices[i].answer.size() - 1);
    per_byte.push_back(likelihoods[i] / static_cast<double>(bytes));
  }
  const auto count = [&](Score& score, std::span<const double> values) {
    score.right += largest(values) == question.right ? 1 : 0;
    ++score.asked;
  };
  count(likeliest, likelihoods);
  count(likeliest_per_byte, per_byte);
  chance += 1.0 / static_cast<double>(likelihoods.size());
}

void TaskScores::add_written(const Question& question, const std::string& text) {
  written.right += first_line(text) == first_line(question.expected) ? 1 : 0;
  ++written.asked;
}

void TaskResult::add(const Question& question, std::span<const double> likelihoods) {
  all.add(question, likelihoods);
  if (!question.group.empty()) groups[question.group].add(question, likelihoods);
}

void TaskResult::add_written(const Question& question, const std::string& text) {
  all.add_written(question, text);
  if (!question.group.empty()) groups[question.group].add_written(question, text);
}

}  // namespace troupe::tasks
