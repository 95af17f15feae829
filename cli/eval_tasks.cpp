#include "cli/eval_tasks.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tasks/formats.h"
#include "tasks/likelihood.h"
#include "tasks/result.h"
#include "workers/sampler.h"

namespace troupe::cli {
namespace {

using tasks::Question;
using tasks::Score;
using tasks::TaskResult;
using tasks::TaskScores;

constexpr std::int64_t kTokensBeyond = 4;  // the expected answer: enough to see that another one goes on

/// "hellaswag: 512 of 10042" on a terminal.
void show_progress(const std::string& name, std::size_t done, std::size_t all) {
  if (::isatty(STDERR_FILENO) != 1) return;
  std::fprintf(stderr, "\r%s: %zu of %zu%s", name.c_str(), done, all, done == all ? "\n" : "");
}

TaskResult ask(LoadedModel& model, const std::vector<Question>& questions, const std::string& name) {
  std::vector<tasks::Choice> choices;
  for (const Question& question : questions)
    choices.insert(choices.end(), question.choices.begin(), question.choices.end());
  tasks::Likelihood likelihood(model.model(), model.tokenizer());
  const std::vector<double> likelihoods = likelihood.of(choices, [&](std::size_t done) {
    if (model.speaks()) show_progress(name, done, choices.size());
  });

  workers::Sampler sampler(model.model(), model.tokenizer());
  TaskResult result;
  std::size_t next = 0;
  for (const Question& question : questions) {
    if (!question.choices.empty()) {
      result.add(question, std::span(likelihoods).subspan(next, question.choices.size()));
      next += question.choices.size();
      continue;
    }
    const std::int64_t tokens = std::ssize(model.tokenizer().encode(question.expected)) + kTokensBeyond;
    result.add_written(question, sampler.sample({.text = question.context}, tokens, {.temperature = 0.0}));
  }
  return result;
}

nlohmann::ordered_json to_json(const Score& score) {
  const tasks::Interval interval = tasks::interval_of(score);
  return {{"accuracy", score.share()},
          {"low", interval.low},
          {"high", interval.high},
          {"right", score.right},
          {"questions", score.asked}};
}

nlohmann::ordered_json to_json(const TaskScores& scores) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (scores.likeliest.asked > 0) {
    json["likeliest"] = to_json(scores.likeliest);
    json["likeliest_per_byte"] = to_json(scores.likeliest_per_byte);
    json["chance"] = scores.chance / static_cast<double>(scores.likeliest.asked);
  }
  if (scores.written.asked > 0) json["written"] = to_json(scores.written);
  return json;
}

void print_score(const std::string& name, const char* how, const Score& score, double chance) {
  if (score.asked == 0) return;
  const tasks::Interval interval = tasks::interval_of(score);
  std::printf("%-28s %-20s %9.4f   %.4f – %.4f %10lld", name.c_str(), how, score.share(), interval.low,
              interval.high, static_cast<long long>(score.asked));
  if (chance > 0.0) std::printf(" %9.4f", chance / static_cast<double>(score.asked));
  std::printf("\n");
}

void print_scores(const std::string& name, const TaskScores& scores) {
  print_score(name, "likeliest", scores.likeliest, scores.chance);
  print_score(name, "likeliest per byte", scores.likeliest_per_byte, scores.chance);
  print_score(name, "written", scores.written, 0.0);
}

}  // namespace

void evaluate_tasks(LoadedModel& model, const std::vector<std::string>& files, bool json) {
  model.require_language_model();
  std::vector<std::pair<std::string, std::vector<Question>>> all;  // read before anything is asked
  all.reserve(files.size());
  for (const std::string& file : files)
    all.emplace_back(std::filesystem::path(file).stem().string(), tasks::read_questions(file));
  nlohmann::ordered_json report = nlohmann::ordered_json::object();
  if (!json && model.speaks())
    std::printf("%-28s %-20s %9s   %-15s %10s %9s\n", "task", "answer", "accuracy", "95 %", "questions",
                "chance");
  for (const auto& [name, questions] : all) {
    const TaskResult result = ask(model, questions, name);
    if (!model.speaks()) continue;
    if (json) {
      report[name] = to_json(result.all);
      for (const auto& [group, scores] : result.groups) report[name]["groups"][group] = to_json(scores);
      continue;
    }
    print_scores(name, result.all);
    for (const auto& [group, scores] : result.groups) print_scores("  " + group, scores);
  }
  if (json && model.speaks()) std::printf("%s\n", report.dump(2).c_str());
}

}  // namespace troupe::cli
