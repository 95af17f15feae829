#include "dashboard/prometheus.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace troupe::dashboard {
namespace {

struct Fixture {
  RunInfo info{.name = "a \"quoted\"\nname", .folder = "", .steps = 10, .workers = 1, .epoch = 2};
  std::string state = "training";
  StepRecord step{
      .time = 0,
      .step = 7,
      .tokens = 700,
      .metrics = {{"loss", 2.5}, {"tokens_total", 700}},
      .layers = {{.layer = 1, .counts = {3, 1}, .bias = {0.5F, -0.5F}, .metrics = {{"load_entropy", 0.8}}}}};
  EvaluationRecord evaluation{
      .time = 0, .step = 5, .total = {2.0, 1.0, 10}, .domains = {{"python", {1.5, 0.8, 5}}}};
  std::vector<WorkerRecord> workers{{.rank = 0, .host = "a"}, {.rank = 1, .host = "b"}};
  std::vector<StragglerRecord> stragglers{{.rank = 1, .phase = "forward", .factor = 2.5}};
  std::map<std::int64_t, std::map<std::string, double>> phases{{0, {{"forward", 0.25}}}};

  [[nodiscard]] std::string text(bool per_expert) const {
    return prometheus_text({.info = info,
                            .state = state,
                            .step = step,
                            .evaluation = &evaluation,
                            .checkpoint = nullptr,
                            .checkpoint_failures = 3,
                            .restarts = 2,
                            .roll_backs = 1,
                            .workers = workers,
                            .stragglers = stragglers,
                            .phases = phases},
                           per_expert);
  }
};

TEST(Prometheus, EveryFamilyHasHelpAndTypeOnceBeforeItsSamples) {
  std::istringstream lines(Fixture().text(true));
  std::set<std::string> typed;
  std::string line;
  std::string help_of;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string first, kind, name;
    words >> first;
    if (first == "#") {
      words >> kind >> name;
      if (kind == "HELP") help_of = name;
      if (kind == "TYPE") {
        EXPECT_EQ(name, help_of);
        EXPECT_TRUE(typed.insert(name).second) << name << " twice";
      }
      continue;
    }
    EXPECT_TRUE(typed.contains(first.substr(0, first.find('{')))) << line;
  }
  EXPECT_GT(typed.size(), 8U);
}

TEST(Prometheus, StatesTheNumbers) {
  const std::string text = Fixture().text(false);
  for (const char* expected :
       {"troupe_loss 2.5\n", "# TYPE troupe_tokens_total counter\n", "troupe_load_entropy{layer=\"1\"} 0.8\n",
        "troupe_eval_loss{domain=\"python\"} 1.5\n", "troupe_workers 2\n",
        "troupe_checkpoint_failures_total 3\n",
        "troupe_phase_seconds{worker=\"0\",phase=\"forward\"} 0.25\n"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
  }
}

TEST(Prometheus, StatesWhatIsPreferredOfRunsThatCompare) {
  EXPECT_EQ(Fixture().text(false).find("_preference_"), std::string::npos);
  Fixture fixture;
  fixture.step.metrics["preference_margin"] = 0.5;
  fixture.evaluation.total.accuracy = 0.75;
  fixture.evaluation.domains["python"].accuracy = 1.0;
  const std::string text = fixture.text(false);
  for (const char* expected :
       {"troupe_preference_margin 0.5\n", "troupe_eval_preference_accuracy{domain=\"all\"} 0.75\n",
        "troupe_eval_preference_accuracy{domain=\"python\"} 1\n"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
  }
}

TEST(Prometheus, EscapesLabels) {
  EXPECT_NE(Fixture().text(false).find("run=\"a \\\"quoted\\\"\\nname\""), std::string::npos);
}

TEST(Prometheus, PerExpertSeriesOnlyWhenAskedFor) {
  EXPECT_EQ(Fixture().text(false).find("troupe_expert_load"), std::string::npos);
  EXPECT_NE(Fixture().text(true).find("troupe_expert_load{layer=\"1\",expert=\"0\"} 1.5\n"),
            std::string::npos);
}

}  // namespace
}  // namespace troupe::dashboard
