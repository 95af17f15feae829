#include "benchmarks/bench/bench.h"

#include <CLI/CLI.hpp>

#include "cli/arguments/this_process.h"

namespace troupe::cli {

void add_bench(CLI::App& program, Action& action) {
  auto* bench = program.add_subcommand("bench", "Measure this machine and this program");
  bench->require_subcommand(1);
  bench->footer("Example:\n  troupe bench step --config configs/benchmarks/moe_step.yaml --json");
  using namespace benchmarks;
  constexpr AddBench kAll[]{
      add_bench_all_to_all, add_bench_attention, add_bench_coordinator, add_bench_checkpoint, add_bench_gemm,
      add_bench_moe,        add_bench_loader,    add_bench_step,        add_bench_tokenizer,
  };
  for (const AddBench add : kAll) add(*bench, action);
  // Runs after the chosen benchmark's own callback. Workers' OpenMP threads sleep while they wait: so do
  // these.
  bench->callback([&action] {
    action = [measure = action] {
      let_openmp_sleep();
      return measure();
    };
  });
}

}  // namespace troupe::cli
