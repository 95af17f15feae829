#include "cli/bench.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/subcommands.h"

namespace troupe::cli {

void add_bench(CLI::App& program, Action& action) {
  auto* subcommand = program.add_subcommand("bench", "Measure this machine and this program");
  subcommand->require_subcommand(1);
  subcommand->footer("Example:\n  troupe bench step --config configs/benchmarks/moe_step.yaml --json");
  const auto arguments = std::make_shared<BenchArguments>();
  const auto common = [&](CLI::App* bench) {
    bench->add_option("--threads", arguments->threads, "CPU threads")->check(CLI::Range(1, 1024));
    bench->add_flag("--json", arguments->json, "Machine-readable");
  };

  auto* gemm = subcommand->add_subcommand("gemm", "fp32 matrix products: the peak that MFU refers to");
  common(gemm);
  gemm->footer("Example:\n  troupe bench gemm --threads 2");
  gemm->callback([arguments, &action] { action = [arguments] { return bench_gemm(*arguments); }; });

  auto* step =
      subcommand->add_subcommand("step", "A training step on one worker: MFU, and where the time goes");
  common(step);
  step->add_option("--config", arguments->config, "Configuration; its corpus is not needed")->required();
  step->add_option("--set", arguments->overrides, "KEY=VALUE, instead of the file's")->take_all();
  step->add_option("--steps", arguments->steps, "Steps that count")->check(CLI::Range(1, 1000));
  step->footer("Example:\n  troupe bench step --config configs/benchmarks/moe_step.yaml --json");
  step->callback([arguments, &action] { action = [arguments] { return bench_step(*arguments); }; });
}

}  // namespace troupe::cli
