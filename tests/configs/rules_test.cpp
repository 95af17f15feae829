#include "configs/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/layout_choice.h"
#include "tests/configs/config_text.h"

namespace troupe::configs::testing {
namespace {

using ::testing::HasSubstr;

struct Refused {
  const char* setting;  // more than one: separated by a space
  const char* key;
};

class RuleTest : public ::testing::TestWithParam<Refused> {};

TEST_P(RuleTest, RefusesAndNamesTheKey) {
  const std::string found = mistakes("", split_words(GetParam().setting));
  EXPECT_NE(found, "") << GetParam().setting;
  EXPECT_THAT(found, HasSubstr(GetParam().key)) << GetParam().setting;
}

INSTANTIATE_TEST_SUITE_P(
    Rules, RuleTest,
    ::testing::Values(
        Refused{"run.record_routing=true model.moe.first_dense_layers=3 model.layers=3",
                "run.record_routing"},
        Refused{"run.replay_routing=a model.moe.first_dense_layers=3 model.layers=3", "run.replay_routing"},
        Refused{"batch.micro_batch=2048 batch.sequences=65536 batch.grad_lanes=1 batch.expert_lanes=1 "
                "data.sequence_length=1048576",
                "most choices that one microbatch"},
        Refused{"run.name=a/b", "run.name"}, Refused{"run.name=..", "run.name"},
        Refused{"run.name=''", "run.name"}, Refused{"run.dir=''", "run.dir"},
        Refused{"run.stop_after=241", "after the last step"}, Refused{"data.corpus=''", "data.corpus"},
        Refused{"data.domains.code=0", "data.domains"}, Refused{"model.attention.kv_heads=3", "must divide"},
        Refused{"model.attention.kv_heads=16", "must divide"},
        Refused{"model.attention.kind=mha", "kind: mha"}, Refused{"model.attention.kind=mqa", "kind: mqa"},
        Refused{"model.attention.rope.fraction=0.1", "even whole number"},
        Refused{"model.attention.head_dim=33", "even whole number"},
        Refused{"model.norm.eps=0", "model.norm.eps"},
        Refused{"model.moe.first_dense_layers=5", "exceeds model.layers"},
        Refused{"model.moe.top_k=17", "exceeds model.moe.experts"},
        Refused{"model.moe.top_k=1", "no gradient"},
        Refused{"model.moe.top_k=1 model.moe.router.normalize_weights=false model.moe.router.score=softmax "
                "model.moe.router.softmax_after_topk=true",
                "no gradient"},
        Refused{"parallel.placement=balanced parallel.expert_parallel=1", "nothing to place"},
        Refused{"model.moe.router.softmax_after_topk=true", "needs score: softmax"},
        Refused{"model.moe.co_activation=true model.moe.experts=1024", "co_activation counts"},
        Refused{"model.moe.co_activation=true model.moe.top_k=1", "nothing to count"},
        Refused{"model.moe.router.selection=expert_choice", "without a balance bias"},
        Refused{"model.moe.router.selection=sinkhorn model.moe.balancer.kind=pid", "balancer pid"},
        Refused{"model.moe.router.selection=noisy_top_k", "set kind: none"},
        Refused{"model.moe.router.selection=gshard_second model.moe.balancer.kind=quantile",
                "without a balance bias"},
        Refused{"model.moe.router.selection=group_limited model.moe.balancer.kind=quantile",
                "among the kept groups only"},
        Refused{"model.moe.balancer.kind=quantile model.moe.balancer.rate=1.5", "1.5 overshoots"},
        Refused{"model.moe.balancer.kind=quantile model.moe.balancer.rate={\"from\":0.5,\"to\":2}",
                "2 overshoots"},
        Refused{"model.moe.balancer.kind=quantile model.moe.router.zero_experts=2", "use kind: proportional"},
        Refused{"model.moe.balancer.kind=quantile model.moe.top_k=16", "first expert that is not chosen"},
        Refused{"model.moe.balancer.kind=proportional model.moe.balancer.routed_per_token=1.5",
                "router.zero_experts"},
        Refused{"model.moe.router.zero_experts=4 model.moe.balancer.routed_per_token=1.5",
                "goes with router.zero_experts"},
        Refused{"model.moe.router.zero_experts=4 model.moe.balancer.kind=proportional "
                "model.moe.balancer.routed_per_token=3",
                "exceeds model.moe.top_k"},
        Refused{"model.moe.balancer.kind=pid model.moe.balancer.kp=0 model.moe.balancer.ki=0", "never moves"},
        Refused{"model.moe.balancer.kind=pid model.moe.balancer.integral_limit=0", "without effect"},
        Refused{"model.moe.router.selection=noisy_top_k", "noisy logits"},
        Refused{"model.moe.router.selection=gshard_second model.moe.top_k=3", "second expert"},
        Refused{"model.moe.router.selection=gshard_second model.moe.router.score=softmax "
                "model.moe.router.softmax_after_topk=true",
                "goes with top_k"},
        Refused{"model.moe.router.selection=sinkhorn model.moe.balancer.kind=none "
                "model.moe.router.score=softmax model.moe.router.softmax_after_topk=true",
                "goes with top_k"},
        Refused{"model.moe.router.selection=expert_choice model.moe.balancer.kind=none "
                "model.moe.router.score=softmax model.moe.router.softmax_after_topk=true",
                "goes with top_k"},
        Refused{"model.moe.router.groups=4", "group_limited"},
        Refused{"model.moe.router.selection=group_limited model.moe.router.groups=3", "must divide"},
        Refused{"model.moe.router.selection=group_limited model.moe.router.groups=4 "
                "model.moe.router.top_groups=5",
                "exceeds groups"},
        Refused{"model.moe.router.selection=group_limited model.moe.router.groups=16",
                "experts of top_groups"},
        Refused{"model.moe.router.selection=group_limited model.moe.router.groups=4 "
                "model.moe.router.zero_experts=1",
                "belong to no group"},
        Refused{"model.moe.router.selection=expert_choice model.moe.balancer.kind=none "
                "model.moe.router.zero_experts=1",
                "take no tokens"},
        Refused{"model.moe.shared_experts=0 model.moe.shared_gate=true", "the gate of the shared experts"},
        Refused{R"(model.moe.aux_loss=[{"kind":load}])", "needs model.moe.router.selection: noisy_top_k"},
        Refused{"model.moe.router.selection=noisy_top_k model.moe.balancer.kind=none model.moe.top_k=16 "
                R"(model.moe.aux_loss=[{"kind":load}])",
                "always chosen"},
        Refused{R"(model.moe.aux_loss=[{"kind":orthogonal,"scope":micro}])", "aux_loss[0].scope"},
        Refused{R"(model.moe.aux_loss=[{},{"kind":importance,"f_source":unbiased}])", "aux_loss[1].f_source"},
        Refused{"model.moe.router.selection=sinkhorn model.moe.balancer.kind=none "
                R"(model.moe.aux_loss=[{"f_source":unbiased}])",
                "set it to actual"},
        Refused{"batch.sequences=20", "multiple of grad_lanes * micro_batch"},
        Refused{"batch.expert_lanes=9", "exceeds batch.grad_lanes"},
        Refused{"parallel.workers=9", "grad_lanes = 8"},
        Refused{"parallel.workers=4 parallel.expert_parallel=3", "must divide the number of workers"},
        Refused{"parallel.workers=4 parallel.expert_parallel=2", "replicas"},
        Refused{"parallel.expert_parallel=9", "no number of workers"},
        Refused{"model.moe.experts=4 parallel.workers=8", "exceeds model.moe.experts"},
        Refused{"parallel.backend=inproc launch.hostfile=hosts", "launch.hostfile"},
        Refused{"model.moe.router.selection=expert_choice model.moe.balancer.kind=none "
                "model.moe.capacity.kind=factor",
                "never drops"},
        Refused{"parallel.dispatch.workers_per_node=2", "hierarchical: true"},
        Refused{"optimizer.betas=[0,0.9]", "both excluded"},
        Refused{"optimizer.betas=[0.9,1]", "both excluded"}, Refused{"optimizer.eps=0", "optimizer.eps"},
        Refused{"run.steps=59 schedule.warmup=20 schedule.decay=40", "exceed run.steps = 59"},
        Refused{"schedule.kind=cosine run.steps=19 schedule.warmup=20", "exceed run.steps = 19"},
        Refused{"sampling.prompts=[]", "sampling.prompts"},
        Refused{"dashboard.address=''", "dashboard.address"},
        Refused{"dashboard.address=127.0.0.1.example.org", "must be an IP address"},
        Refused{"dashboard.address=localhost", "must be an IP address"},
        Refused{"control.address=''", "control.address"},
        Refused{"control.address=localhost", "must be an IP address"}));

TEST(Rules, WhatIsAllowedIsNotRefused) {
  for (const char* settings :
       {"model.moe.top_k=1 model.moe.router.normalize_weights=false",
        "model.attention.kind=mha model.attention.kv_heads=8",
        "model.attention.rope.fraction=0.5",
        "model.moe.first_dense_layers=4",
        "run.steps=60 schedule.warmup=20 schedule.decay=40",
        "schedule.kind=cosine run.steps=20 schedule.warmup=20",
        "sampling.prompts=[] sampling.every=0",
        "dashboard.address=127.3.2.1",
        "dashboard.address=::1",
        "model.moe.capacity.kind=factor model.moe.router.weight_on=input",
        "parallel.dispatch.hierarchical=true parallel.dispatch.workers_per_node=2",
        "batch.expert_lanes=2 parallel.workers=4 parallel.expert_parallel=2",
        "model.moe.balancer.kind=quantile model.moe.balancer.rate=0.5",
        "model.moe.router.zero_experts=4 model.moe.balancer.kind=proportional "
        "model.moe.balancer.routed_per_token=1",
        "model.moe.balancer.kind=pid model.moe.balancer.ki=0 model.moe.balancer.integral_limit=0",
        "model.moe.router.score=softmax model.moe.router.softmax_after_topk=true",
        R"(model.moe.aux_loss=[{"scope":running},{"kind":orthogonal},{"kind":importance}])",
        "run.stop_after=240",
        "model.moe.router.selection=noisy_top_k model.moe.balancer.kind=none "
        "model.moe.router.score=softmax model.moe.router.softmax_after_topk=true",
        "model.moe.router.selection=gshard_second model.moe.balancer.kind=none",
        "model.moe.router.score=sqrt_softplus",
        "model.moe.router.selection=group_limited model.moe.router.groups=4 model.moe.router.top_groups=2",
        "model.moe.router.selection=sinkhorn model.moe.balancer.kind=none model.moe.router.zero_experts=2",
        "model.moe.router.selection=expert_choice model.moe.balancer.kind=none"}) {
    EXPECT_EQ(mistakes("", split_words(settings)), "") << settings;
  }
}

TEST(Warnings, SelectionsThatSeeTheFutureOfACausalModel) {
  RunConfig config;
  EXPECT_TRUE(warnings(config).empty());
  for (const auto selection : {experts::Selection::kSinkhorn, experts::Selection::kExpertChoice}) {
    config.model.moe.router.selection = selection;
    ASSERT_EQ(warnings(config).size(), 1U);
    EXPECT_THAT(warnings(config)[0], HasSubstr("sees the future"));
  }
  config.model.moe.first_dense_layers = config.model.layers;  // no layer has experts
  EXPECT_TRUE(warnings(config).empty());
}

TEST(Warnings, CapacityByScoreSeesTheFutureToo) {
  RunConfig config;
  config.model.moe.capacity.kind = experts::CapacityKind::kFactor;
  config.model.moe.capacity.drop_policy = experts::DropPolicy::kPosition;
  EXPECT_TRUE(warnings(config).empty());
  config.model.moe.capacity.drop_policy = experts::DropPolicy::kScore;
  ASSERT_EQ(warnings(config).size(), 1U);
  EXPECT_THAT(warnings(config)[0], HasSubstr("drop_policy"));
  EXPECT_THAT(warnings(config)[0], HasSubstr("sees the future"));
}

RunConfig layout_config(std::int64_t grad_lanes, std::int64_t expert_lanes) {
  RunConfig config;
  config.batch.grad_lanes = grad_lanes;
  config.batch.expert_lanes = expert_lanes;
  return config;
}

TEST(ChooseLayout, AutomaticWorkersFollowCoresAndLanes) {
  const RunConfig config = layout_config(8, 1);
  EXPECT_EQ(choose_layout(config, 1), (LayoutChoice{1, 1}));
  EXPECT_EQ(choose_layout(config, 5), (LayoutChoice{5, 5}));
  EXPECT_EQ(choose_layout(config, 64), (LayoutChoice{8, 8}));
}

TEST(ChooseLayout, ThreadsShareTheCores) {
  RunConfig config = layout_config(8, 1);
  config.parallel.threads = 3;
  EXPECT_EQ(choose_layout(config, 8), (LayoutChoice{2, 2}));
  EXPECT_EQ(choose_layout(config, 2), (LayoutChoice{1, 1}));
}

TEST(ChooseLayout, AWorkerHasAtLeastOneExpert) {
  RunConfig config = layout_config(8, 1);
  config.model.moe.experts = 3;
  EXPECT_EQ(choose_layout(config, 8), (LayoutChoice{3, 3}));
}

TEST(ChooseLayout, AGivenExpertParallelLimitsTheWorkers) {
  RunConfig config = layout_config(12, 4);
  config.parallel.expert_parallel = 3;
  EXPECT_EQ(choose_layout(config, 11), (LayoutChoice{6, 3}));  // 9 would make 3 replicas, of 4 lanes
  EXPECT_EQ(choose_layout(config, 12), (LayoutChoice{12, 3}));
  EXPECT_EQ(choose_layout(config, 2), (LayoutChoice{3, 3}));  // more workers than cores is slow, not wrong
}

TEST(ChooseLayout, GivenWorkersAreKept) {
  RunConfig config = layout_config(8, 8);
  config.parallel.workers = 4;
  config.parallel.expert_parallel = 2;
  EXPECT_EQ(choose_layout(config, 1), (LayoutChoice{4, 2}));
}

TEST(SmallerLayout, KeepsExpertParallelWhereItGoes) {
  RunConfig config = layout_config(12, 12);
  config.parallel.expert_parallel = 2;
  EXPECT_EQ(smaller_layout(config, 12), (LayoutChoice{11, 11}));
  EXPECT_EQ(smaller_layout(config, 11), (LayoutChoice{10, 10}));  // 5 replicas do not divide 12 lanes
  EXPECT_EQ(smaller_layout(config, 9), (LayoutChoice{8, 2}));
  EXPECT_EQ(smaller_layout(config, 1), std::nullopt);
}

TEST(SmallerLayout, TakesFewerWorkersUntilOneFits) {
  RunConfig config = layout_config(8, 1);
  config.model.moe.experts = 5;
  EXPECT_EQ(smaller_layout(config, 8), (LayoutChoice{5, 5}));
}

/// What has no implementation on a device is refused by its name, with what does run.
class DeviceRuleTest : public ::testing::TestWithParam<Refused> {};

TEST_P(DeviceRuleTest, RefusesByNameOnADeviceOnly) {
  auto settings = split_words(GetParam().setting);
  const std::string on_host = mistakes("", settings);
  settings.emplace_back("parallel.device=cuda");
  const std::string on_device = mistakes("", settings);
  const auto sentence = ::testing::ContainsRegex(std::string(GetParam().key) +
                                                 ": .* does not run with parallel.device: cuda; .* do");
  EXPECT_THAT(on_device, sentence) << GetParam().setting;
  EXPECT_THAT(on_host, ::testing::Not(sentence)) << GetParam().setting;
}

INSTANTIATE_TEST_SUITE_P(
    Rules, DeviceRuleTest,
    ::testing::Values(Refused{"model.ffn.activation=gelu", "model.ffn.activation"},
                      Refused{"model.ffn.activation=geglu", "model.ffn.activation"},
                      Refused{"model.moe.router.selection=group_limited", "model.moe.router.selection"},
                      Refused{"model.moe.router.selection=sinkhorn", "model.moe.router.selection"},
                      Refused{"model.moe.router.jitter=0.1", "model.moe.router.jitter"},
                      Refused{"model.moe.router.zero_experts=2", "model.moe.router.zero_experts"},
                      Refused{"model.moe.router.weight_on=input", "model.moe.router.weight_on"},
                      Refused{"model.moe.balancer.kind=quantile", "model.moe.balancer.kind"},
                      Refused{"model.moe.capacity.kind=factor", "model.moe.capacity.kind"},
                      Refused{"model.moe.shared_gate=true", "model.moe.shared_gate"},
                      Refused{"model.moe.co_activation=true", "model.moe.co_activation"},
                      Refused{"model.moe.experts=1040", "model.moe.experts"},
                      Refused{"model.moe.experts=64 model.moe.top_k=33", "model.moe.top_k"},
                      Refused{"model.ffn.bias=true", "model.ffn.bias"},
                      Refused{"model.moe.aux_loss=[{\"kind\":\"importance\"}]", "model.moe.aux_loss.0..kind"},
                      Refused{"model.moe.aux_loss=[{\"scope\":\"sequence\"}]", "model.moe.aux_loss.0..scope"},
                      Refused{"model.moe.aux_loss=[{\"f_source\":\"unbiased\"}]",
                              "model.moe.aux_loss.0..f_source"},
                      Refused{"parallel.dispatch.hierarchical=true", "parallel.dispatch.hierarchical"},
                      Refused{"parallel.dispatch.dtype=bf16", "parallel.dispatch.dtype"},
                      Refused{"parallel.placement=balanced", "parallel.placement"},
                      Refused{"run.record_routing=true", "run.record_routing"},
                      Refused{"run.replay_routing=folder", "run.replay_routing"}));

TEST(DeviceRules, TakeTheDefaults) { EXPECT_EQ(mistakes("", {"parallel.device=cuda"}), ""); }

}  // namespace
}  // namespace troupe::configs::testing
