#include "coordinator/run/evaluation_summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace troupe::coordinator {
namespace {

TEST(EvaluationSummary, WeighsDomainsByTheirTokensAndBytes) {
  comm::EvaluationFinished evaluation;
  evaluation.domains["en"] = {.nats = 300.0, .tokens = 100, .bytes = 400};
  evaluation.domains["zh"] = {.nats = 100.0, .tokens = 20, .bytes = 100};
  const EvaluationSummary summary = summarize(evaluation);
  EXPECT_DOUBLE_EQ(summary.domains.at("en").nats_per_token, 3.0);
  EXPECT_DOUBLE_EQ(summary.domains.at("zh").bits_per_byte, 1.0 / std::numbers::ln2);
  EXPECT_DOUBLE_EQ(summary.overall.nats_per_token, 400.0 / 120.0);
  EXPECT_DOUBLE_EQ(summary.overall.perplexity, std::exp(400.0 / 120.0));
  EXPECT_DOUBLE_EQ(summary.overall.bits_per_byte, 400.0 / (500.0 * std::numbers::ln2));
}

TEST(EvaluationSummary, LeavesOutDomainsWithoutTokens) {
  comm::EvaluationFinished evaluation;
  evaluation.domains["empty"] = {};
  const EvaluationSummary summary = summarize(evaluation);
  EXPECT_TRUE(summary.domains.empty());
  EXPECT_EQ(summary.overall.nats_per_token, 0.0);
}

TEST(EvaluationSummary, TakesViolationOverTheWholeEvaluationSet) {
  comm::EvaluationFinished evaluation;
  evaluation.loads.push_back({.layer = 2, .counts = {3, 1}, .bias = {}, .domains = {3, 0, 0, 1}});
  EXPECT_DOUBLE_EQ(summarize(evaluation).max_violation_global.at(2), 0.5);
  EXPECT_DOUBLE_EQ(summarize(evaluation).specialization.at(2).domain_distance, 1.0);
}

}  // namespace
}  // namespace troupe::coordinator
