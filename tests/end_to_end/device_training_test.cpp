// Training on a device: the same code above tensor/, with bits of its own, which are near those of the host,
// the same for every layout, and the same on a GPU as in the emulation of one. The program is linked with
// either.
#include <gtest/gtest.h>
#include <omp.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/batch_order.h"
#include "model/cost.h"
#include "model/load_shape.h"
#include "storage/checkpoint_store.h"
#include "tensor/device/make_accelerator.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/scratch_folder.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/evaluator.h"
#include "workers/peak_flops.h"
#ifdef TROUPE_CUDA_EMULATED
#include "tensor/cuda/emulation/runtime.h"
#endif

namespace troupe::test {
namespace {

using experts::AuxScope;
using experts::Score;

/// Where the program is linked for GPUs, and there is none.
class NeedsADevice : public ::testing::Environment {
  void SetUp() override {
    if (device::accelerator_count() == 0) GTEST_SKIP() << "no CUDA device here";
  }
};
[[maybe_unused]] const auto* const kNeedsADevice = ::testing::AddGlobalTestEnvironment(new NeedsADevice);

constexpr int kSteps = 2;

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = tiny_dataset();
  return dataset;
}

std::int64_t domains() { return std::ssize(dataset().header().domain_names); }

/// As small as kernels that compute tiles of 128 allow.
workers::TrainingOptions small() {
  auto options = tiny_options(dataset());
  options.data.sequence_length = 16;
  options.batch = {.accumulation_steps = 1, .grad_lanes = 4, .expert_lanes = 4, .micro_batch = 1};
  options.model.layers = 2;
  options.model.init.residual_scaling = false;  // the digests are of devices that ran without
  options.model.attention.heads = 2;
  options.model.attention.kv_heads = 1;
  options.model.moe.experts = 4;
  return options;
}

/// Two sequences a microbatch, two accumulation steps, softmax scores, an untied head, no shared expert, no
/// norm of queries and keys.
workers::TrainingOptions softmax() {
  auto options = small();
  options.batch = {.accumulation_steps = 2, .grad_lanes = 2, .expert_lanes = 1, .micro_batch = 2};
  options.model.tie_embeddings = false;
  options.model.attention.qk_norm = model::QkNorm::kNone;
  options.model.attention.rope.fraction = 0.5;
  options.model.moe.shared_experts = 0;
  options.model.moe.router.score = Score::kSoftmax;
  options.model.moe.router.linear_bias = true;
  options.model.moe.aux_loss = {{.scope = AuxScope::kPrevious, .coefficient = 0.01},
                                {.scope = AuxScope::kMicro, .coefficient = 0.001}};
  return options;
}

/// Experts chosen and weighed by logits, another activation, no balancer, every layer with experts.
workers::TrainingOptions after_top_k() {
  auto options = small();
  options.batch = {.accumulation_steps = 1, .grad_lanes = 2, .expert_lanes = 2, .micro_batch = 1};
  options.model.ffn.form.activation = layers::Activation::kGeGluTanh;
  options.model.moe.first_dense_layers = 0;
  options.model.moe.top_k = 3;
  options.model.moe.router.softmax_after_topk = true;
  options.model.moe.router.scale = 1.5;
  options.model.moe.balancer.kind = experts::BalancerKind::kNone;
  options.model.moe.aux_loss.clear();
  return options;
}

/// What Gemma and gpt-oss have: scores that are capped, windows, sinks, norms around, factors everywhere.
workers::TrainingOptions capped() {
  auto options = small();
  options.batch = {.accumulation_steps = 1, .grad_lanes = 2, .expert_lanes = 2, .micro_batch = 1};
  model::ModelOptions& model = options.model;
  model.norm = {{.kind = layers::NormKind::kRmsPlusOne, .bias = false, .eps = 1e-6},
                model::NormPlacement::kSandwich};
  model.embedding.scale = 5.5;
  model.logits = {.scale = 0.5, .softcap = 3.0, .bias = false};
  model.residual_multiplier = 0.7;
  model::AttentionOptions local = model.attention;
  local.softcap = 0.5;
  local.softmax_scale = 0.3;
  local.window = 5;
  model::AttentionOptions sinks = model.attention;
  sinks.sinks = true;
  sinks.out_bias = true;
  sinks.rope.pairing = model::RopePairing::kInterleaved;
  model.mixers = {{"local", local}, {"sinks", sinks}};
  model.layer_pattern = {"local", "sinks"};
  return options;
}

/// What DeepSeek, Llama 4, Step-3, MPT and GPT-2 have, one after another.
workers::TrainingOptions latent() {
  auto options = small();
  options.batch = {.accumulation_steps = 1, .grad_lanes = 2, .expert_lanes = 2, .micro_batch = 1};
  model::ModelOptions& model = options.model;
  model.layers = 3;
  model.norm = {{.kind = layers::NormKind::kLayerNorm, .bias = true, .eps = 1e-5},
                model::NormPlacement::kPost};
  model::AttentionOptions mla = model.attention;
  mla.kind = model::AttentionKind::kMla;
  mla.qk_norm = model::QkNorm::kNone;
  mla.latent = {.query_rank = 6, .kv_rank = 8, .nope_dim = 6, .rope_dim = 4, .value_dim = 5};
  model::AttentionOptions warm = model.attention;
  warm.qk_norm = model::QkNorm::kL2;
  warm.temperature = 0.2;
  warm.temperature_length = 3;
  model::AttentionOptions falling = model.attention;
  falling.qk_norm = model::QkNorm::kNone;
  falling.positions = model::Positions::kAlibi;
  falling.query_rank = 6;
  model.mixers = {{"mla", mla}, {"warm", warm}, {"falling", falling}};
  model.layer_pattern = {"mla", "warm", "falling"};
  return options;
}

std::unique_ptr<Accelerator> device() { return device::make_accelerator(); }

TrainingRecord train(const workers::TrainingOptions& options, const WorkerLayout& layout,
                     const MakeAccelerator& where, int steps = kSteps) {
  return train_inproc(options, dataset(), layout, steps, {}, {}, where);
}

double loss(const TrainingRecord::Step& step) { return std::bit_cast<double>(step.loss_bits); }

/// FNV-1a of all bits of a record but its load by domain, which is no part of training.
std::string digest_of(const TrainingRecord& record, const workers::TrainingOptions& options) {
  const auto words = layout::LoadStatistics(model::load_shape(options.model, 0)).size();
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  const auto add = [&](const auto& values) {
    for (const std::byte byte : std::as_bytes(std::span(values)))
      hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001B3ULL;
  };
  for (const auto& step : record.steps) {
    add(std::array{step.loss_bits, step.grad_norm_bits});
    add(std::span(step.load).first(static_cast<std::size_t>(words)));
    add(step.bias);
  }
  for (const auto& [name, values] : record.weights) add(values);
  return fmt::format("{:016x}", hash);
}

struct Model {
  const char* name;
  workers::TrainingOptions (*options)();
  std::vector<WorkerLayout> layouts;  // beside one worker
};

class DeviceTraining : public ::testing::TestWithParam<Model> {
 protected:
  /// Trained by one worker on the device; once for all tests of a model.
  static const TrainingRecord& alone() {
    static std::map<std::string, TrainingRecord> records;
    const auto [place, is_new] = records.try_emplace(GetParam().name);
    if (is_new) place->second = train(GetParam().options(), {}, device);
    return place->second;
  }
};

TEST_P(DeviceTraining, HasTheLossOfTheHost) {
  const TrainingRecord host = train(GetParam().options(), {}, {});
  ASSERT_EQ(alone().steps.size(), host.steps.size());
  for (std::size_t step = 0; step < host.steps.size(); ++step)
    EXPECT_NEAR(loss(alone().steps[step]), loss(host.steps[step]), 1e-5) << "step " << step + 1;
}

TEST_P(DeviceTraining, HasTheSameBitsInEveryLayout) {
  for (const WorkerLayout& layout : GetParam().layouts) {
    const TrainingRecord actual = train(GetParam().options(), layout, device);
    EXPECT_TRUE(actual == alone()) << layout.workers << " workers, " << layout.expert_parallel
                                   << " to a group of experts, recomputed: " << layout.recompute;
  }
}

/// Fewer steps would hide an optimizer whose moments drift.
TEST(DeviceLoss, StaysTheHostsOverFourSteps) {
  const TrainingRecord host = train(small(), {}, {}, 4);
  const TrainingRecord there = train(small(), {}, device, 4);
  ASSERT_EQ(there.steps.size(), host.steps.size());
  for (std::size_t step = 0; step < host.steps.size(); ++step)
    EXPECT_NEAR(loss(there.steps[step]), loss(host.steps[step]), 1e-5) << "step " << step + 1;
}

/// The file has lines "model digest". On a change of bits that is meant, take the digests that this prints.
TEST_P(DeviceTraining, HasTheBitsOfEveryOtherDevice) {
  std::ifstream file(source_path("tests/end_to_end/device_digests.txt"));
  std::string name;
  std::string digest;
  std::string expected;
  while (file >> name >> digest) {
    if (name == GetParam().name) expected = digest;
  }
  EXPECT_EQ(digest_of(alone(), GetParam().options()), expected) << GetParam().name;
}

INSTANTIATE_TEST_SUITE_P(
    Models, DeviceTraining,
    ::testing::Values(Model{"small", small, {{2, 2}, {2, 1}, {3, 3}, {4, 2}, {4, 4}, {1, 1, 1, true}}},
                      Model{"softmax", softmax, {{2, 2}, {1, 1, 1, true}}},
                      Model{"after_top_k", after_top_k, {{2, 1}}}, Model{"capped", capped, {{2, 2}}},
                      Model{"latent", latent, {{2, 1}}}),
    [](const auto& instance) { return std::string(instance.param.name); });

/// A worker that trains alone.
struct Worker {
  Worker(const workers::TrainingOptions& options, std::unique_ptr<Accelerator> where)
      : world(std::move(comm::make_inproc_group(1).front())),
        layout(options.batch, 1, 1, static_cast<int>(options.model.moe.experts)),
        accelerator(std::move(where)),
        order(dataset(), options.data.sequence_length, options.seed),
        model(workers::model_setup(options, layout, domains(), accelerator.get()), layout, *world, clock),
        trainer(options, model, dataset(), order) {
    model.initialize();
  }

  /// All floats that a checkpoint keeps, but the balancers'.
  [[nodiscard]] std::vector<std::vector<float>> floats() {
    workers::StateMirror mirror(model, trainer.state(), HostMirror::Content::kBuffer);
    std::vector<std::vector<float>> all;
    for (HostMirror* part : {&mirror.dense, &mirror.experts, &mirror.dense_first, &mirror.dense_second,
                             &mirror.expert_first, &mirror.expert_second})
      all.emplace_back(part->values().begin(), part->values().end());
    return all;
  }

  SystemClock clock;
  std::unique_ptr<comm::Communicator> world;
  layout::Layout layout;
  std::unique_ptr<Accelerator> accelerator;
  data::BatchOrder order;
  model::Model model;
  workers::Trainer trainer;
};

class DeviceCheckpoint : public ::testing::Test {
 protected:
  void save(Worker& worker) {
    const std::int64_t step = worker.trainer.state().counters.step;
    storage::CheckpointStore store(folder_);
    const auto shard = save_shards(store.temporary_folder(step, 1), worker.model, worker.trainer.state());
    storage::CheckpointMetadata metadata;
    metadata.step = step;
    metadata.epoch = 1;
    store.commit(metadata, std::vector{shard});
  }
  void load(Worker& worker) {
    auto reader = storage::CheckpointStore(folder_).open_latest();
    load_owned(reader, worker.model, worker.trainer.state());  // of one worker: all
  }

  ScratchFolder folder_;
};

TEST_F(DeviceCheckpoint, GoesFromTheHostToADeviceAndBack) {
  Worker before(small(), nullptr);
  before.trainer.step({});
  save(before);

  Worker on_device(small(), device());
  load(on_device);
  EXPECT_EQ(on_device.floats(), before.floats());
  const double there = on_device.trainer.step({}).loss;
  EXPECT_NEAR(there, before.trainer.step({}).loss, 1e-5);
  save(on_device);

  Worker after(small(), nullptr);
  load(after);
  EXPECT_EQ(after.floats(), on_device.floats());
  EXPECT_EQ(after.trainer.state().counters, on_device.trainer.state().counters);
  EXPECT_NEAR(after.trainer.step({}).loss, before.trainer.step({}).loss, 1e-5);
}

TEST(DeviceEvaluation, HasTheLossesOfTheHost) {
  Worker host(small(), nullptr);
  Worker there(small(), device());
  const auto evaluate = [&](Worker& worker) {
    return workers::Evaluator(worker.model, dataset(), true).evaluate(2);
  };
  const auto expected = evaluate(host);
  const auto actual = evaluate(there);
  ASSERT_EQ(actual.domains.size(), expected.domains.size());
  for (const auto& [name, sum] : expected.domains) {
    EXPECT_EQ(actual.domains.at(name).tokens, sum.tokens);
    EXPECT_NEAR(actual.domains.at(name).nats, sum.nats, 1e-5 * sum.nats);
  }
}

TEST(DeviceEvaluation, CountsTheLoadOfEachDomain) {
  Worker host(small(), nullptr);
  Worker there(small(), device());
  const auto load_of = [&](Worker& worker) {
    return workers::Evaluator(worker.model, dataset(), true).evaluate(6).load;
  };
  layout::LoadStatistics expected = load_of(host);
  layout::LoadStatistics actual = load_of(there);
  const auto choices = static_cast<std::size_t>(small().model.moe.choices());
  const std::vector<std::int64_t> by_domain(actual.layer(0).domains.begin(), actual.layer(0).domains.end());
  ASSERT_EQ(by_domain.size(), static_cast<std::size_t>(domains()) * choices);
  std::vector<std::int64_t> of_choices(choices);
  for (std::size_t domain = 0; domain < static_cast<std::size_t>(domains()); ++domain) {
    std::int64_t pairs = 0;
    std::int64_t pairs_of_host = 0;
    for (std::size_t choice = 0; choice < choices; ++choice) {
      of_choices[choice] += by_domain[domain * choices + choice];
      pairs += by_domain[domain * choices + choice];
      pairs_of_host += expected.layer(0).domains[domain * choices + choice];
    }
    EXPECT_EQ(pairs, pairs_of_host) << "domain " << domain;  // a near choice may be another
  }
  EXPECT_TRUE(std::ranges::equal(of_choices, actual.layer(0).counts));
  EXPECT_GT(std::ranges::count_if(by_domain, [](std::int64_t count) { return count > 0; }), 4);
}

#ifdef TROUPE_CUDA_EMULATED
TEST(DeviceStep, TakesNoMemoryAfterTheFirst) {
  Worker worker(small(), device());
  worker.trainer.step({});
  const std::int64_t before = cuda::emulation::allocations();
  worker.trainer.step({});
  EXPECT_EQ(cuda::emulation::allocations(), before);
}
#endif

TEST(DeviceEvaluation, WritesWithTheLogitsOfTheHost) {
  Worker host(small(), nullptr);
  Worker there(small(), device());
  const auto logits = [&](Worker& worker) {
    const std::vector<std::int32_t> tokens(16, 7);
    std::vector<std::int32_t> positions(16);
    std::iota(positions.begin(), positions.end(), 0);
    const std::vector<std::int32_t> first_visible(16, 0);
    const Shape shape{16};
    std::vector<float> values(static_cast<std::size_t>(worker.model.shape().vocab_size));
    worker.model.transformer().logits_of_row({.tokens = {tokens.data(), shape},
                                              .positions = {positions.data(), shape},
                                              .first_visible = {first_visible.data(), shape}},
                                             worker.model.frozen_context(), worker.model.weights(), 5,
                                             values);
    return values;
  };
  const auto expected = logits(host);
  const auto actual = logits(there);
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 1e-5) << i;
}

TEST(DeviceModel, RefusesTheHostItsBuffers) {
  Worker worker(small(), device());
  EXPECT_THROW(static_cast<void>(worker.model.dense_values()), Error);
}

/// Not a check: prints what a step of a larger model takes, and of what (scripts/device_check.sh).
/// 270 M parameters, 16384 tokens a step.
workers::TrainingOptions large(bool counts_ops) {
  workers::TrainingOptions options;
  options.steps = 100;
  options.threads = omp_get_num_procs();  // for the initial values
  options.vocab_size = 16384;
  options.data.sequence_length = 512;
  options.batch = {.accumulation_steps = 1, .grad_lanes = 1, .expert_lanes = 1, .micro_batch = 32};
  options.model.hidden_size = 2048;
  options.model.layers = 2;
  options.model.attention.heads = 16;
  options.model.attention.kv_heads = 4;
  options.model.attention.head_dim = 128;
  options.model.moe.first_dense_layers = 0;
  options.model.moe.experts = 16;
  options.model.moe.top_k = 4;
  options.model.moe.expert_size = 1024;
  options.profile_ops = counts_ops;
  return options;
}

void print_breakdown(const Profile& profile, const PhaseSeconds& seconds) {
  for (std::size_t phase = 0; phase < kPhaseNames.size(); ++phase) {
    double left = seconds[phase];
    for (std::size_t op = 0; op < kOpNames.size(); ++op) {
      const OpWork work = profile.work(static_cast<Phase>(phase), static_cast<OpKind>(op));
      if (work.calls == 0) continue;
      const double op_seconds = work.thread_seconds / profile.threads();
      left -= op_seconds;
      std::printf("  %-13s %-13s %8.2f ms %6ld calls %8.1f TFLOP/s\n", kPhaseNames[phase], kOpNames[op],
                  1e3 * op_seconds, work.calls, 1e-12 * work.flop / op_seconds);
    }
    std::printf("  %-13s %-13s %8.2f ms\n", kPhaseNames[phase], "rest", 1e3 * left);
  }
}

TEST(DeviceTiming, DISABLED_PrintsWhatAStepTakes) {
  for (const bool counts_ops : {false, true}) {
    const workers::TrainingOptions options = large(counts_ops);
    Worker worker(options, device());
    std::printf("%s\n", worker.accelerator->name().c_str());
    const double peak = workers::device_gemm_flops(*worker.accelerator, worker.clock);
    const double tokens = static_cast<double>(options.batch.sequences() * options.data.sequence_length);
    const double flop = tokens * model::training_flops_per_token(options.model, options.vocab_size,
                                                                 options.data.sequence_length);
    for (int step = 0; step < 5; ++step) {
      const auto& result = worker.trainer.step({});
      const double seconds = std::accumulate(result.seconds.begin(), result.seconds.end(), 0.0);
      std::printf(
          "step %d: loss %.4f, %.1f ms, %.0f tokens/s, %.1f TFLOP/s, MFU %.3f of a GEMM's %.1f TFLOP/s%s\n",
          step + 1, result.loss, 1e3 * seconds, tokens / seconds, 1e-12 * flop / seconds,
          flop / seconds / peak, 1e-12 * peak, counts_ops ? ", waiting for every op" : "");
      if (counts_ops && step == 4) print_breakdown(worker.model.profile(), result.seconds);
    }
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace troupe::test
