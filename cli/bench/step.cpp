#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "cli/bench/bench.h"
#include "cli/bench/gemm.h"
#include "cli/bench/timing.h"
#include "cli/exit_codes.h"
#include "cli/training_setup.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/load.h"
#include "data/batch_order.h"
#include "data/token_file_writer.h"
#include "model/cost.h"
#include "tensor/parallel.h"
#include "workers/trainer.h"

namespace troupe::cli {
namespace {

/// A token file in a temporary folder: documents longer than a sequence, ids drawn with a Zipf-like
/// frequency, so that embedding and router see what text looks like.
class SyntheticCorpus {
 public:
  SyntheticCorpus(std::int64_t vocab_size, std::int64_t sequence_length, std::int64_t sequences)
      : folder_(std::filesystem::temp_directory_path() / ("troupe-bench-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    const std::int64_t count = sequence_length * (sequences + 1) + 1;
    const Random random(1, RandomPurpose::kTest);
    std::vector<std::int32_t> tokens;
    for (std::int64_t i = 0; i < count; ++i) {
      const double u = random.uniform(static_cast<std::uint64_t>(i));
      tokens.push_back(1 + static_cast<std::int32_t>(std::pow(static_cast<double>(vocab_size - 1), u)) %
                               static_cast<std::int32_t>(vocab_size - 1));
    }
    tokens.front() = tokens.back() = 0;
    const data::TokenFileHeader header{
        .domain_names = {"synthetic"},
        .tokenizer_hash = "synthetic",
        .vocab_size = vocab_size,
        .end_of_text = 0,
        .token_bytes = std::vector<std::int32_t>(static_cast<std::size_t>(vocab_size), 4),
        .document_offsets = {0, count},
        .document_domains = {0}};
    data::write_token_file(file(), header, tokens);
  }
  ~SyntheticCorpus() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  SyntheticCorpus(const SyntheticCorpus&) = delete;
  SyntheticCorpus& operator=(const SyntheticCorpus&) = delete;
  [[nodiscard]] std::filesystem::path file() const { return folder_ / data::kTrainFile; }

 private:
  std::filesystem::path folder_;
};

struct StepArguments {
  std::string config;
  std::vector<std::string> overrides;
  int steps = 3;
  int threads = 1;
  bool json = false;
};

struct Phase {
  const char* name;
  double seconds;
};

// Disjoint parts of one step; "other" is what is left of the whole.
std::vector<Phase> phases_of(const workers::StepResult::Seconds& s) {
  const auto& m = s.model;
  const double known =
      s.load + m.forward + m.dispatch + m.expert + m.combine + m.backward + s.reduce + s.update;
  return {{"load", s.load},     {"forward", m.forward}, {"dispatch", m.dispatch},
          {"expert", m.expert}, {"combine", m.combine}, {"backward", m.backward},
          {"reduce", s.reduce}, {"update", s.update},   {"other", s.total - known}};
}

struct StepBench {
  Timing step;
  std::vector<Phase> phases;  // of the median step
  double peak = 0.0;          // FLOP/s
  double flops = 0.0;         // of a step
  std::int64_t tokens = 0;    // of a step
  double loss = 0.0;          // of the last step, for comparing runs
  std::size_t activation_bytes = 0;
  [[nodiscard]] double mfu() const { return flops / step.median / peak; }
};

StepBench measure(const configs::RunConfig& config, const StepArguments& arguments) {
  use_one_library_thread();
  if (!config.model.vocab_size) {
    throw Error(ErrorCode::kConfig, "{}: a benchmark needs a number for model.vocab_size", arguments.config);
  }
  workers::TrainingOptions options = training_options(config, *config.model.vocab_size);
  options.threads = arguments.threads;
  options.steps = arguments.steps + 1;
  const SystemClock clock;
  StepBench bench;
  bench.peak = peak_flops(measure_gemm(arguments.threads, clock));
  const SyntheticCorpus corpus(options.vocab_size, options.data.sequence_length,
                               options.batch.sequences() * options.steps);
  const data::TokenDataset dataset(corpus.file());
  const data::BatchOrder order(dataset, options.data.sequence_length, options.seed);
  const layout::Layout layout(options.batch, 1, 1, static_cast<int>(options.model.moe.experts));
  auto world = std::move(comm::make_inproc_group(1).front());
  workers::Trainer trainer(options, layout, *world, dataset, order, clock);

  std::vector<workers::StepResult::Seconds> steps;
  for (int step = 0; step <= arguments.steps; ++step) {  // the first one touches memory and is not counted
    const auto& result = trainer.step({});
    bench.loss = result.loss;
    if (step > 0) steps.push_back(result.seconds);
  }
  std::ranges::sort(steps, {}, &workers::StepResult::Seconds::total);
  std::vector<double> totals;
  for (const auto& step : steps) totals.push_back(step.total);
  bench.step = summarize(totals);
  bench.phases = phases_of(steps[steps.size() / 2]);
  bench.tokens = options.batch.sequences() * options.data.sequence_length;
  bench.flops =
      static_cast<double>(bench.tokens) *
      model::training_flops_per_token(options.model, options.vocab_size, options.data.sequence_length);
  bench.activation_bytes = trainer.model().activation_peak_bytes();
  return bench;
}

void print_json(const StepBench& bench, const StepArguments& arguments) {
  nlohmann::json phases = nlohmann::json::object();
  for (const Phase& phase : bench.phases) phases[phase.name] = phase.seconds;
  const nlohmann::json all{{"config", arguments.config},
                           {"threads", arguments.threads},
                           {"steps", arguments.steps},
                           {"mfu", bench.mfu()},
                           {"median_step_seconds", bench.step.median},
                           {"least_step_seconds", bench.step.least},
                           {"most_step_seconds", bench.step.most},
                           {"tokens_per_second", static_cast<double>(bench.tokens) / bench.step.median},
                           {"step_gflop", bench.flops * 1e-9},
                           {"peak_gflops", bench.peak * 1e-9},
                           {"activation_bytes", bench.activation_bytes},
                           {"loss", bench.loss},
                           {"phase_seconds", phases}};
  std::printf("%s\n", all.dump(2).c_str());
}

void print_table(const StepBench& bench, const StepArguments& arguments) {
  std::printf("%s, one worker, %d threads, %d steps after one to warm up\n", arguments.config.c_str(),
              arguments.threads, arguments.steps);
  std::printf("  step        %.3f s (%.3f to %.3f), %.0f tokens/s\n", bench.step.median, bench.step.least,
              bench.step.most, static_cast<double>(bench.tokens) / bench.step.median);
  std::printf("  floor       %.1f GFLOP a step; peak GEMM %.1f GFLOP/s\n", bench.flops * 1e-9,
              bench.peak * 1e-9);
  std::printf("  MFU         %.3f\n", bench.mfu());
  for (const Phase& phase : bench.phases) {
    std::printf("  %-10s  %.3f s  %5.1f %%\n", phase.name, phase.seconds,
                100.0 * phase.seconds / bench.step.median);
  }
}

int bench_step(const StepArguments& arguments) {
  const configs::RunConfig config = configs::load_config(arguments.config, arguments.overrides);
  const StepBench bench = measure(config, arguments);
  arguments.json ? print_json(bench, arguments) : print_table(bench, arguments);
  return kSuccess;
}

}  // namespace

void add_bench_step(CLI::App& bench, Action& action) {
  auto* step = bench.add_subcommand("step", "A training step on one worker: MFU, and where the time goes");
  const auto arguments = std::make_shared<StepArguments>();
  step->add_option("--config", arguments->config, "Configuration; its corpus is not needed")->required();
  step->add_option("--set", arguments->overrides, "KEY=VALUE, instead of the file's")->take_all();
  step->add_option("--steps", arguments->steps, "Steps that count")->check(CLI::Range(1, 1000));
  step->add_option("--threads", arguments->threads, "CPU threads")->check(CLI::Range(1, 1024));
  step->add_flag("--json", arguments->json, "Machine-readable");
  step->footer("Example:\n  troupe bench step --config configs/benchmarks/moe_step.yaml --json");
  step->callback([arguments, &action] { action = [arguments] { return bench_step(*arguments); }; });
}

}  // namespace troupe::cli
