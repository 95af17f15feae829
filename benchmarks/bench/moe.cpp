#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>
#include <vector>

#include "base/index.h"
#include "base/random.h"
#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/gemm.h"
#include "benchmarks/bench/report.h"
#include "cli/subcommands.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "experts/moe_layer.h"
#include "model/model.h"
#include "model/parameters.h"
#include "tensor/parallel.h"
#include "workers/training_options.h"

namespace troupe::benchmarks {
namespace {

struct MoeArguments {
  std::vector<std::int64_t> experts{32, 256};
  std::int64_t top_k = 4;
  std::int64_t shared_experts = 1;
  std::int64_t hidden_size = 512;
  std::int64_t expert_size = 256;
  std::int64_t tokens = 2048;
  int threads = 1;
  double seconds = 2.0;
  bool json = false;
};

workers::TrainingOptions options_with(const MoeArguments& arguments, std::int64_t experts) {
  workers::TrainingOptions options;
  options.vocab_size = 128;
  options.model.hidden_size = arguments.hidden_size;
  options.model.layers = 1;
  options.model.moe.first_dense_layers = 0;
  options.model.moe.experts = experts;
  options.model.moe.top_k = arguments.top_k;
  options.model.moe.expert_size = arguments.expert_size;
  options.model.moe.shared_experts = arguments.shared_experts;
  options.batch = {.accumulation_steps = 1, .grad_lanes = 1, .expert_lanes = 1, .micro_batch = 1};
  options.threads = arguments.threads;
  options.profile_ops = true;
  return options;
}

Tensor random_rows(std::int64_t rows, std::int64_t columns, std::uint64_t stream) {
  const Random random(stream, RandomPurpose::kTest);
  Tensor tensor({rows, columns});
  std::uint64_t index = 0;
  for (float& value : tensor.floats()) value = random.normal(index++);
  return tensor;
}

/// One MoE layer on one microbatch of random tokens, on one worker.
class LayerBench {
 public:
  LayerBench(const MoeArguments& arguments, std::int64_t experts, const Clock& clock)
      : options_(options_with(arguments, experts)),
        tokens_(arguments.tokens),
        world_(std::move(comm::make_inproc_group(1).front())),
        layout_(options_.batch, 1, 1, static_cast<int>(experts)),
        model_(workers::model_setup(options_, layout_, 0), layout_, *world_, clock),
        exchange_(experts::make_exchange(*world_, {})),
        layer_(options_.model.moe, options_.model.ffn.form, 0, model::layer_prefix(0, 1),
               model_.dense_table(), model_.expert_table(),
               {*world_, layout::LayerPlacement::contiguous(static_cast<int>(experts), 1)}, *exchange_),
        saved_(layer_.make_saved()),
        load_({.layers = 1, .choices = static_cast<int>(experts), .experts = static_cast<int>(experts)}),
        x_(random_rows(tokens_, options_.model.hidden_size, 1)),
        dy_(random_rows(tokens_, options_.model.hidden_size, 2)),
        y_(x_.shape()),
        dx_(x_.shape()),
        dense_gradient_(model_.dense_values().size()),
        expert_gradient_(model_.expert_values().size()) {
    model_.initialize();
  }

  void forward() {
    arena_.reset();
    model_.profile().reset();
    layer_.forward(pass(), x_, step(), load_.layer(0), saved_, y_);
    add_work();
  }
  void backward() {
    model_.profile().reset();
    layer_.backward(pass(), dy_, x_, step(), {load_.layer(0), {}, &z_loss_}, saved_, dx_);
    add_work();
  }

  /// Of the experts', shared experts' and router's products, both directions.
  [[nodiscard]] double forward_flop() const {
    const auto& moe = options_.model.moe;
    const auto hidden = static_cast<double>(options_.model.hidden_size);
    const auto width = static_cast<double>((moe.top_k + moe.shared_experts) * moe.expert_size);
    return 2.0 * static_cast<double>(tokens_) * hidden * (3.0 * width + static_cast<double>(moe.experts));
  }
  /// Of all that was timed: what is neither a routed nor a shared expert's product.
  [[nodiscard]] double beside_expert_gemm_share() const { return 1.0 - gemm_seconds_ / all_seconds_; }

 private:
  [[nodiscard]] Pass pass() {
    return {.execution = model_.execution(),
            .arena = arena_,
            .dense = model_.dense_values(),
            .experts = model_.expert_values(),
            .dense_gradient = dense_gradient_,
            .expert_gradient_lanes = expert_lanes_,
            .lane_of_source = lane_of_source_,
            .training = true};
  }
  [[nodiscard]] experts::StepContext step() const {
    return {.routed_tokens = tokens_, .bias = model_.bias()};
  }
  void add_work() {
    for (const double seconds : model_.profile().seconds()) all_seconds_ += seconds;
    for (const Phase phase : {Phase::kExpert, Phase::kOther})  // routed; shared
      gemm_seconds_ += model_.profile().work(phase, OpKind::kGemm).thread_seconds / options_.threads;
  }

  workers::TrainingOptions options_;
  std::int64_t tokens_;
  std::unique_ptr<comm::Communicator> world_;
  layout::Layout layout_;
  model::Model model_;
  std::unique_ptr<experts::Exchange> exchange_;
  experts::MoeLayer layer_;
  experts::MoeLayer::Saved saved_;
  layout::LoadStatistics load_;
  Tensor x_, dy_, y_, dx_;
  std::vector<float> dense_gradient_;
  std::vector<float> expert_gradient_;
  std::array<TensorView, 1> expert_lanes_{expert_gradient_};
  std::array<int, 1> lane_of_source_{0};
  Arena arena_{std::size_t{1} << 34};  // address space
  double z_loss_ = 0.0;
  double all_seconds_ = 0.0;
  double gemm_seconds_ = 0.0;
};

/// Layers in turn, so that all see the same machine.
void measure(const MoeArguments& arguments, const Clock& clock, double peak, Report& report) {
  std::vector<std::unique_ptr<LayerBench>> layers;
  for (const std::int64_t experts : arguments.experts)
    layers.push_back(std::make_unique<LayerBench>(arguments, experts, clock));
  std::vector<std::array<std::vector<double>, 2>> times(layers.size());
  const auto timed = [&](std::vector<double>& into, const auto& body) {
    const TimePoint start = clock.now();
    body();
    into.push_back(seconds(clock.now() - start));
  };
  const TimePoint begin = clock.now();
  for (int round = 0; round < 4 || seconds(clock.now() - begin) < arguments.seconds; ++round) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      timed(times[i][0], [&] { layers[i]->forward(); });
      timed(times[i][1], [&] { layers[i]->backward(); });
    }
  }
  double first = 0.0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::int64_t experts = arguments.experts[i];
    const double flop = layers[i]->forward_flop();
    for (const auto& [direction, name] : {std::pair{0, "forward"}, std::pair{1, "backward"}}) {
      const double work = direction == 0 ? flop : 2.0 * flop;
      auto& all = times[i][at(direction)];
      all.erase(all.begin());  // touches memory
      report.measurements.push_back({.what = fmt::format("{} experts, {}", experts, name),
                                     .seconds = summarize(all),
                                     .amount = work * 1e-9,
                                     .floor_seconds = work / peak});
    }
    const auto& lines = report.measurements;
    const double both = lines[lines.size() - 2].seconds.median + lines.back().seconds.median;
    if (i == 0) first = both;
    const std::string prefix = fmt::format("experts_{}_", experts);
    report.facts.push_back({prefix + "beside_expert_gemm_share", layers[i]->beside_expert_gemm_share()});
    report.facts.push_back({prefix + "time_ratio_to_first", both / first});
  }
}

int bench_moe(const MoeArguments& arguments) {
  use_one_library_thread();
  const SystemClock clock;
  const double peak = peak_flops(measure_gemm(arguments.threads, clock));
  Report report{
      .title = fmt::format("one MoE layer on one worker: {} tokens of {}, experts of {}, top {} and {} "
                           "shared, {} threads",
                           arguments.tokens, arguments.hidden_size, arguments.expert_size, arguments.top_k,
                           arguments.shared_experts, arguments.threads),
      .unit = "GFLOP/s",
      .floor = "peak GEMM",
      .measurements = {},
      .facts = {{"peak_gflops", peak * 1e-9}}};
  measure(arguments, clock, peak, report);
  print(report, arguments.json);
  return cli::kSuccess;
}

}  // namespace

void add_bench_moe(CLI::App& bench, Action& action) {
  auto* moe =
      bench.add_subcommand("moe", "A layer of experts, forward and backward, by the number of experts");
  const auto arguments = std::make_shared<MoeArguments>();
  const CLI::Range sizes(1, 1 << 16);
  moe->add_option("--experts", arguments->experts, "Numbers of experts, in turn")
      ->check(sizes)
      ->delimiter(',');
  moe->add_option("--top-k", arguments->top_k, "Experts of a token")->check(sizes);
  moe->add_option("--shared-experts", arguments->shared_experts, "Experts of every token")
      ->check(CLI::Range(0, 64));
  moe->add_option("--hidden-size", arguments->hidden_size, "Width of the model")->check(sizes);
  moe->add_option("--expert-size", arguments->expert_size, "Width of an expert")->check(sizes);
  moe->add_option("--tokens", arguments->tokens, "Of a microbatch")->check(sizes);
  moe->add_option("--threads", arguments->threads, "CPU threads")->check(CLI::Range(1, 1024));
  moe->add_option("--seconds", arguments->seconds, "How long to repeat")->check(CLI::Range(0.0, 600.0));
  moe->add_flag("--json", arguments->json, "Machine-readable");
  moe->footer("Example:\n  troupe bench moe --experts 32,256 --top-k 4");
  moe->callback([arguments, &action] {
    for (const std::int64_t experts : arguments->experts) {
      if (arguments->top_k > experts)
        throw CLI::ValidationError("--top-k", fmt::format("{} of {} experts", arguments->top_k, experts));
    }
    action = [arguments] { return bench_moe(*arguments); };
  });
}

}  // namespace troupe::benchmarks
