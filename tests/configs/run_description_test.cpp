#include "cli/description/run_description.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/configs/config_text.h"

namespace troupe::configs::testing {
namespace {

using ::testing::HasSubstr;

using cli::describe_run;
using cli::RunDescription;

// One layer without experts, one with: small enough to count by hand.
constexpr const char* kSmall = R"(
data: {sequence_length: 10}
model:
  hidden_size: 8
  layers: 2
  attention: {heads: 4, kv_heads: 2, head_dim: 4}
  ffn: {intermediate_size: 12}
  moe: {experts: 5, top_k: 2, expert_size: 3, shared_experts: 1}
batch: {sequences: 12, micro_batch: 1, grad_lanes: 4, expert_lanes: 2}
)";
constexpr std::int64_t kAttention = (4 + 2 + 2) * 4 * 8 + 8 * 16 + 2 * 4;  // qkv, out, two norms of heads
constexpr std::int64_t kExpert = 3 * 3 * 8;
constexpr std::int64_t kDense = 128 * 8 + 2 * (kAttention + 2 * 8) + 3 * 12 * 8 + (5 * 8 + kExpert) + 8;

// In a buffer every parameter begins on 16 floats: the four norms of width 8 and 4 of a layer and the last
// one, the router's 40, and the down projections of experts, 24.
constexpr std::int64_t kDenseBuffer = kDense + 2 * (8 + 8 + 12 + 12) + 8 + 8 + 8;
constexpr std::int64_t kExpertBuffer = kExpert + 8;

TEST(DescribeRun, CountsParametersAsByHand) {
  const RunDescription description = describe_run(parse(kSmall), 128, 1);
  EXPECT_EQ(description.dense_parameters, kDense);
  EXPECT_EQ(description.parameters.total, kDense + 5 * kExpert);
  EXPECT_EQ(description.parameters.active, kDense + 2 * kExpert);  // tied: the head counts, once
  EXPECT_DOUBLE_EQ(description.sparsity, 2.0);
  EXPECT_DOUBLE_EQ(description.granularity, 16.0 / 3.0);
}

TEST(DescribeRun, ComputeIsSixPerActiveParameterPlusAttention) {
  const RunDescription description = describe_run(parse(kSmall), 128, 1);
  EXPECT_DOUBLE_EQ(description.flops_per_token, 6.0 * (kDense + 2 * kExpert) + 12.0 * 16 * 2 * 5.5);
  EXPECT_EQ(description.tokens_per_step, 120);
}

TEST(DescribeRun, MemoryIsThatOfTheWorkerWhichHoldsTheMost) {
  const RunDescription two = describe_run(parse(kSmall, {"parallel.workers=2"}), 128, 1);
  EXPECT_EQ(two.layout, (LayoutChoice{2, 2}));
  EXPECT_EQ(two.accumulation_steps, 3);
  EXPECT_EQ(two.waves, 2);
  EXPECT_EQ(two.bytes_per_worker.parameters, 4 * (kDenseBuffer + 3 * kExpertBuffer));
  EXPECT_EQ(
      two.bytes_per_worker.gradient_lanes,  // two lanes, and a microbatch of the later accumulation steps
      4 * (3 * kDenseBuffer + 2 * 3 * kExpertBuffer));
  EXPECT_GE(two.bytes_per_worker.optimizer_state, 8 * (kDenseBuffer / 2 + 3 * kExpertBuffer));
  EXPECT_LT(two.bytes_per_worker.optimizer_state, 8 * (kDenseBuffer + 3 * kExpertBuffer));
  EXPECT_EQ(two.bytes_per_worker.saved_copy, two.bytes_per_worker.optimizer_state / 2 * 3);
  EXPECT_GT(two.bytes_per_worker.reduction, two.bytes_per_worker.optimizer_state / 2);
  const RunDescription replicas =
      describe_run(parse(kSmall, {"parallel.workers=2", "parallel.expert_parallel=1"}), 128, 1);
  EXPECT_EQ(replicas.bytes_per_worker.parameters, 4 * (kDenseBuffer + 5 * kExpertBuffer));
  EXPECT_EQ(replicas.bytes_per_worker.gradient_lanes, 4 * (3 * kDenseBuffer + 5 * kExpertBuffer));
  EXPECT_GE(replicas.bytes_per_worker.optimizer_state, 8 * (kDenseBuffer / 2 + 5 * kExpertBuffer / 2));
  EXPECT_LT(replicas.bytes_per_worker.optimizer_state, 8 * (kDenseBuffer + 5 * kExpertBuffer));
}

TEST(DescribeRun, OneWorkerWithoutSavesOnTheWayCopiesAndSendsNothing) {
  const RunDescription one =
      describe_run(parse(kSmall, {"parallel.workers=1", "checkpoint.every=0"}), 128, 1);
  EXPECT_EQ(one.bytes_per_worker.saved_copy, 0);
  EXPECT_EQ(one.bytes_per_worker.reduction, 4 * (kDenseBuffer + 5 * kExpertBuffer));
  EXPECT_GT(one.bytes_per_worker.statistics, 0);
}

TEST(DescribeRun, SaysWhatWorkersSendAndAResumeReads) {
  const RunDescription one = describe_run(parse(kSmall, {"parallel.workers=1"}), 128, 1);
  EXPECT_EQ(one.traffic.sent(), comm::Traffic());
  EXPECT_EQ(to_text(one).find("messages"), std::string::npos);
  EXPECT_GE(one.resume.read_bytes, one.resume.checkpoint_bytes);  // all of it, with what aligns it in memory

  const RunDescription two = describe_run(parse(kSmall, {"parallel.workers=2"}), 128, 1);
  EXPECT_GT(two.traffic.dispatch.messages, 0);
  EXPECT_EQ(two.traffic.weights.messages, 1);
  EXPECT_EQ(two.resume.weights, two.traffic.weights);
  EXPECT_LT(two.resume.read_bytes, one.resume.read_bytes);
  const std::string text = to_text(two);
  EXPECT_NE(text.find(fmt::format("in {} messages", two.traffic.sent().messages)), std::string::npos) << text;
  const auto json = nlohmann::json::parse(to_json(two));
  EXPECT_EQ(json["sent_in_a_step_by_worker_0"]["total"]["bytes"], two.traffic.sent().bytes);
  EXPECT_EQ(json["resume"]["read_bytes_of_worker_0"], two.resume.read_bytes);
}

TEST(DescribeRun, SaysWhatItCostsToCountTheWholeBatch) {
  const std::string loss = R"(model.moe.aux_loss=[{"scope":"global"}])";
  const RunDescription all = describe_run(parse(kSmall, {"parallel.workers=2", loss}), 128, 1);
  EXPECT_EQ(all.forward_together, 6);  // 3 accumulation steps of 2 waves
  EXPECT_THAT(to_text(all), HasSubstr("6 microbatches of a worker"));
  const RunDescription few =
      describe_run(parse(kSmall, {"parallel.workers=2", loss, "parallel.hold_microbatches=3"}), 128, 1);
  EXPECT_EQ(few.held, 3);
  EXPECT_THAT(to_text(few), HasSubstr("17 % more compute"));  // half of the forward passes
  const RunDescription none = describe_run(parse(kSmall, {"parallel.workers=2"}), 128, 1);
  EXPECT_EQ(none.forward_together, 1);
}

TEST(DescribeRun, ADenseModelHasNoExperts) {
  const RunDescription description = describe_run(parse(kSmall, {"model.moe.first_dense_layers=2"}), 128, 1);
  EXPECT_EQ(description.parameters.total, description.parameters.active);
  EXPECT_DOUBLE_EQ(description.sparsity, 1.0);
}

TEST(DescribeRun, JsonHoldsTheNumbers) {
  const RunDescription description = describe_run(parse(kSmall), 128, 1);
  const auto json = nlohmann::json::parse(to_json(description));
  EXPECT_EQ(json["parameters"]["total"], description.parameters.total);
  EXPECT_EQ(json["parameters"]["active"], description.parameters.active);
  EXPECT_EQ(json["flops_per_token"], description.flops_per_token);
  EXPECT_EQ(json["bytes_per_worker"]["total"], description.bytes_per_worker.total());
}

}  // namespace
}  // namespace troupe::configs::testing
