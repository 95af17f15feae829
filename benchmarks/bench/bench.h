#pragma once
#include "cli/subcommands.h"

namespace troupe::benchmarks {

using cli::Action;

/// `troupe bench NAME`: one file each, one line in cli/bench.cpp. `bench` is the subcommand `troupe bench`.
using AddBench = void (*)(CLI::App& bench, Action& action);

void add_bench_all_to_all(CLI::App& bench, Action& action);
void add_bench_attention(CLI::App& bench, Action& action);
void add_bench_coordinator(CLI::App& bench, Action& action);
void add_bench_checkpoint(CLI::App& bench, Action& action);
void add_bench_gemm(CLI::App& bench, Action& action);
void add_bench_moe(CLI::App& bench, Action& action);
void add_bench_loader(CLI::App& bench, Action& action);
void add_bench_step(CLI::App& bench, Action& action);
void add_bench_tokenizer(CLI::App& bench, Action& action);

}  // namespace troupe::benchmarks
