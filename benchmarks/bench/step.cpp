#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/report.h"
#include "benchmarks/bench/step_run.h"
#include "cli/subcommands.h"
#include "configs/load.h"

namespace troupe::benchmarks {
namespace {

struct StepArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::vector<std::string> versus;
  int steps = 3;
  bool breakdown = false;
  bool json = false;
};

/// Counting waits for every op of a device.
std::unique_ptr<StepRun> make_run(const StepArguments& arguments, const std::string& name,
                                  const configs::RunConfig& config, const Clock& clock) {
  const bool on_host = config.parallel.device == DeviceKind::kCpu;
  return std::make_unique<StepRun>(name, config, arguments.steps, on_host || arguments.breakdown, clock);
}

/// The same with other options, step by step in turn, so that both see the same machine.
std::unique_ptr<StepRun> make_versus(const StepArguments& arguments, const Clock& clock) {
  if (arguments.versus.empty()) return nullptr;
  std::vector<std::string> overrides = arguments.overrides;
  std::string name = "with";
  for (const std::string& override : arguments.versus) {
    overrides.push_back(override);
    name += " " + override;
  }
  return make_run(arguments, name, configs::load_config(arguments.config, overrides), clock);
}

void add_comparison(const StepRun& run, const StepRun& versus, Report& report) {
  report.measurements.push_back(versus.measurement());
  for (Fact& fact : versus.facts("versus_")) report.facts.push_back(std::move(fact));
  report.facts.push_back({"versus_time_ratio", versus.median_seconds() / run.median_seconds()});
  report.facts.push_back({"versus_mfu_ratio", versus.mfu() / run.mfu()});
  report.facts.push_back(
      {"versus_activation_bytes_ratio", versus.activation_bytes() / run.activation_bytes()});
}

int bench_step(const StepArguments& arguments) {
  const SystemClock clock;
  const auto first = make_run(arguments, arguments.config,
                              configs::load_config(arguments.config, arguments.overrides), clock);
  StepRun& run = *first;
  const auto versus = make_versus(arguments, clock);
  for (int step = 0; step <= arguments.steps; ++step) {
    for (StepRun* one : {&run, versus.get()}) {
      if (one == nullptr) continue;
      one->measure_peak();
      one->step();
    }
  }
  Report report{.title =
                    "training steps, after one to warm up; a step's products at the GEMM peak of the same "
                    "workers at once are its floor, so the last column is MFU",
                .unit = "tokens/s",
                .floor = "peak GEMM",
                .measurements = {run.measurement()},
                .parts = arguments.breakdown ? run.parts() : std::vector<Part>{},
                .facts = run.facts("")};
  if (versus) add_comparison(run, *versus, report);
  print(report, arguments.json);
  return cli::kSuccess;
}

}  // namespace

void add_bench_step(CLI::App& bench, Action& action) {
  auto* step = bench.add_subcommand("step", "Training steps: MFU, and where the time goes");
  const auto arguments = std::make_shared<StepArguments>();
  step->add_option("--config", arguments->config, "Configuration; its corpus is not needed")->required();
  step->add_option("--set", arguments->overrides, "KEY=VALUE, instead of the file's")->take_all();
  step->add_option("--versus", arguments->versus,
                   "KEY=VALUE: the same with these options too, step by step in turn, and the ratios")
      ->take_all();
  step->add_option("--steps", arguments->steps, "Steps that count")->check(CLI::Range(1, 1000));
  step->add_flag("--breakdown", arguments->breakdown, "Every phase and op; shares add up to 1");
  step->add_flag("--json", arguments->json, "Machine-readable");
  step->footer(
      "Workers are threads of this process (parallel.workers; auto is 1 here).\n"
      "Examples:\n"
      "  troupe bench step --config configs/benchmarks/moe_step.yaml --breakdown\n"
      "  troupe bench step --config configs/benchmarks/moe_step.yaml --versus parallel.workers=2\n"
      "  troupe bench step --config configs/benchmarks/moe_step.yaml --versus parallel.recompute=block");
  step->callback([arguments, &action] { action = [arguments] { return bench_step(*arguments); }; });
}

}  // namespace troupe::benchmarks
