// The same bits for every number of workers and threads, expert lanes in their order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/model/group_run.h"

namespace troupe::model {
namespace {

constexpr int kLanes = 5;

std::vector<reference::Batch> batches() {
  std::vector<reference::Batch> lanes;
  for (int lane = 0; lane < kLanes; ++lane) {
    lanes.push_back(reference::random_batch(static_cast<std::uint64_t>(lane) + 10, 2, 11));
  }
  return lanes;
}

ModelOptions options() {
  ModelOptions options = reference::tiny_options();
  options.moe.router.z_loss = 0.01;
  options.mtp.depth = 2;
  options.moe.aux_loss = {
      {experts::AuxLossKind::kLoadBalance, experts::AuxScope::kMicro, 0.1, experts::FrequencySource::kActual},
      {experts::AuxLossKind::kLoadBalance, experts::AuxScope::kGlobal, 0.1,
       experts::FrequencySource::kUnbiased}};
  return options;
}

GroupRun run(const ModelOptions& options, int expert_lanes, const GroupLayout& layout) {
  return run_group(options, batches(), reference::random_step(options, batches()), expert_lanes, layout);
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

void expect_same_bits(const GroupRun& a, const GroupRun& b) {
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_TRUE(same_bits(a.dense[lane], b.dense[lane])) << "dense gradient of lane " << lane;
    EXPECT_TRUE(same_bits(a.token_nll[lane], b.token_nll[lane])) << "losses of lane " << lane;
    EXPECT_TRUE(same_bits(a.last_logits[lane], b.last_logits[lane])) << "logits of lane " << lane;
    EXPECT_TRUE(same_bits(a.results[lane].aux_loss, b.results[lane].aux_loss))
        << "aux losses of lane " << lane;
    EXPECT_EQ(a.results[lane].nll, b.results[lane].nll);
    EXPECT_EQ(a.results[lane].mtp_nll, b.results[lane].mtp_nll);
    EXPECT_EQ(a.results[lane].load, b.results[lane].load);
  }
  for (std::size_t x = 0; x < a.expert_lanes.size(); ++x) {
    EXPECT_TRUE(same_bits(a.expert_lanes[x], b.expert_lanes[x])) << "expert lane " << x;
  }
}

class GroupInvariance : public testing::TestWithParam<GroupLayout> {};

TEST_P(GroupInvariance, GradientsLossesAndCountsHaveTheBitsOfOneWorker) {
  for (const int expert_lanes : {1, 2}) {
    expect_same_bits(run(options(), expert_lanes, {}), run(options(), expert_lanes, GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, GroupInvariance,
                         testing::Values(GroupLayout{1, 2}, GroupLayout{1, 3}, GroupLayout{2, 1},
                                         GroupLayout{2, 2}, GroupLayout{3, 1}, GroupLayout{4, 1},
                                         GroupLayout{5, 1}),
                         [](const auto& instance) {
                           return "workers" + std::to_string(instance.param.workers) + "threads" +
                                  std::to_string(instance.param.threads);
                         });

TEST(GroupInvariance, MoreWorkersThanExpertsLeaveSomeWithoutAny) {
  ModelOptions few = options();
  few.moe.experts = 3;
  expect_same_bits(run(few, 1, {1, 1}), run(few, 1, {5, 1}));
}

TEST(GroupInvariance, AllTokensMayChooseTheSameExperts) {
  const ModelOptions crowded = options();
  reference::Step step = reference::random_step(crowded, batches());
  for (auto& bias : step.bias) bias[0] = bias[1] = 10.0;
  expect_same_bits(run_group(crowded, batches(), step, 1, {1, 1}),
                   run_group(crowded, batches(), step, 1, {5, 1}));
}

TEST(Chunks, AMicrobatchLongerThanAChunkIsTheSumOfItsSequences) {
  // 306 tokens: more than a chunk of the head and a piece of an FFN.
  ModelOptions plain = reference::tiny_options();
  plain.tie_embeddings = false;
  const reference::Batch whole = reference::random_batch(4, 6, 51);
  const reference::Step step = reference::random_step(plain, {whole});
  const GroupRun together = run_group(plain, {whole}, step, 1, {});
  std::vector<double> sum(together.dense[0].size(), 0.0);
  for (std::int64_t s = 0; s < whole.sequences; ++s) {
    reference::Batch part{
        .sequences = 1, .length = 51, .tokens = {}, .targets = {}, .positions = {}, .first_visible = {}};
    const auto copy = [&](const std::vector<std::int32_t>& from, std::vector<std::int32_t>& to) {
      to.assign(from.begin() + s * 51, from.begin() + (s + 1) * 51);
    };
    copy(whole.tokens, part.tokens);
    copy(whole.targets, part.targets);
    copy(whole.positions, part.positions);
    copy(whole.first_visible, part.first_visible);
    const GroupRun alone = run_group(plain, {part}, step, 1, {});
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += alone.dense[0][i];
  }
  for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(together.dense[0][i], sum[i], 1e-6);
}

TEST(ExpertLanes, LaneOfALaneIsItsNumberModuloTheExpertLanes) {
  // Lanes with odd numbers see only masked targets and no auxiliary losses: no gradient.
  ModelOptions plain = reference::tiny_options();
  auto lanes = batches();
  const reference::Step step = reference::random_step(plain, lanes);
  for (std::size_t lane = 1; lane < lanes.size(); lane += 2) std::ranges::fill(lanes[lane].targets, -1);
  const GroupRun result = run_group(plain, lanes, step, 2, {2, 1});
  EXPECT_TRUE(std::ranges::any_of(result.expert_lanes[0], [](float value) { return value != 0.0F; }));
  EXPECT_TRUE(std::ranges::all_of(result.expert_lanes[1], [](float value) { return value == 0.0F; }));
}

TEST(ExpertLanes, ALaneIsTheSumOfItsMicrobatches) {
  // Each microbatch alone, added by hand; GroupInvariance checks the bits of the order.
  const ModelOptions with_losses = options();
  const auto lanes = batches();
  const reference::Step step = reference::random_step(with_losses, lanes);
  const GroupRun together = run_group(with_losses, lanes, step, 1, {3, 1});
  std::vector<double> sum(together.expert_lanes[0].size(), 0.0);
  for (const auto& lane : lanes) {
    const GroupRun alone = run_group(with_losses, {lane}, step, 1, {1, 1});
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += alone.expert_lanes[0][i];
  }
  for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(together.expert_lanes[0][i], sum[i], 1e-6);
}

}  // namespace
}  // namespace troupe::model
