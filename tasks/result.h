#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tasks/question.h"

namespace troupe::tasks {

/// How many were right of how many.
struct Score {
  std::int64_t right = 0;
  std::int64_t asked = 0;

  [[nodiscard]] double share() const {
    return asked == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(asked);
  }
};

/// Of a share: Wilson's score interval, 95 %.
struct Interval {
  double low = 0.0;
  double high = 1.0;
};
[[nodiscard]] Interval interval_of(const Score& score);

/// Scores of a task, or of one group of its questions.
struct TaskScores {
  Score likeliest;           // the answer of the largest likelihood
  Score likeliest_per_byte;  // divided by the bytes of the answer, without its space
  Score written;             // of questions without choices
  double chance = 0.0;       // Σ 1 / choices: questions that guessing gets right

  void add(const Question& question, std::span<const double> likelihoods);
  void add_written(const Question& question, const std::string& text);
};

/// "all" and the groups.
struct TaskResult {
  TaskScores all;
  std::map<std::string, TaskScores> groups;

  /// likelihoods: of the question's choices
  void add(const Question& question, std::span<const double> likelihoods);
  /// text: what the model wrote
  void add_written(const Question& question, const std::string& text);
};

}  // namespace troupe::tasks
