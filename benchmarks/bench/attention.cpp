#include "tensor/ops/attention/attention.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <vector>

#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/gemm.h"
#include "benchmarks/bench/report.h"
#include "cli/subcommands.h"
#include "tensor/parallel.h"

namespace troupe::benchmarks {
namespace {

struct AttentionArguments {
  std::vector<std::int64_t> lengths{512, 2048};
  std::int64_t tokens = 2048;
  std::int64_t heads = 8;
  std::int64_t kv_heads = 4;
  std::int64_t head_dim = 64;
  std::int64_t document = 0;  // tokens; 0: a sequence is one document
  int threads = 1;
  bool json = false;
};

Tensor filled(const Shape& shape) {
  Tensor tensor(shape);
  std::uint32_t state = 1;
  for (float& value : tensor.floats()) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5F;
  }
  return tensor;
}

/// Visible (query, key) pairs of a sequence, and where each token's document begins.
struct Documents {
  Tensor first_visible;
  double pairs = 0.0;

  Documents(std::int64_t tokens, std::int64_t length, std::int64_t document)
      : first_visible({tokens}, DType::kI32) {
    const std::int64_t size = document == 0 ? length : std::min(document, length);
    for (std::int64_t token = 0; token < tokens; ++token) {
      const std::int64_t position = token % length;
      const std::int64_t first = position / size * size;
      first_visible.i32()[token] = static_cast<std::int32_t>(first);
      pairs += static_cast<double>(position - first + 1);
    }
  }
};

void measure(const AttentionArguments& arguments, std::int64_t length, const Clock& clock, double peak,
             Report& report) {
  const std::int64_t tokens = std::max(arguments.tokens, length) / length * length;
  const ops::AttentionShape shape{tokens / length, length, arguments.heads, arguments.kv_heads,
                                  arguments.head_dim};
  const Shape query{tokens, arguments.heads * arguments.head_dim};
  const Shape key{tokens, arguments.kv_heads * arguments.head_dim};
  const Tensor q = filled(query), k = filled(key), v = filled(key), dout = filled(query);
  Tensor out(query), dq(query), dk(key), dv(key), log_sum_exp({shape.sequences * shape.heads, length});
  const Documents documents(tokens, length, arguments.document);
  Arena arena(std::size_t{1} << 32);
  const Execution execution{arguments.threads};
  const double flop = 4.0 * documents.pairs * static_cast<double>(arguments.heads * arguments.head_dim);
  const auto add = [&](const char* direction, double work, const Timing& timing) {
    report.measurements.push_back(
        {.what = fmt::format("{} x {} tokens, {}", shape.sequences, length, direction),
         .seconds = timing,
         .amount = work * 1e-9,
         .floor_seconds = work / peak});
  };
  add("forward", flop, time_repeated(clock, {}, [&] {
        ops::attention_forward(execution, shape, q, k, v, documents.first_visible, out, log_sum_exp);
      }));
  add("backward", 2.0 * flop, time_repeated(clock, {}, [&] {
        const ArenaScope scope(arena);
        ops::attention_backward(execution, arena, shape, dout, q, k, v, out, log_sum_exp,
                                documents.first_visible, dq, dk, dv);
      }));
}

int bench_attention(const AttentionArguments& arguments) {
  use_one_library_thread();
  const SystemClock clock;
  const double peak = peak_flops(measure_gemm(arguments.threads, clock));
  Report report{.title = fmt::format(
                    "causal attention, {} heads and {} key/value heads of {}, documents of {} "
                    "tokens, {} threads; only visible pairs count as work",
                    arguments.heads, arguments.kv_heads, arguments.head_dim,
                    arguments.document == 0 ? "all" : std::to_string(arguments.document), arguments.threads),
                .unit = "GFLOP/s",
                .floor = "peak GEMM",
                .measurements = {},
                .facts = {{"peak_gflops", peak * 1e-9}}};
  for (const std::int64_t length : arguments.lengths) measure(arguments, length, clock, peak, report);
  print(report, arguments.json);
  return cli::kSuccess;
}

}  // namespace

void add_bench_attention(CLI::App& bench, Action& action) {
  auto* attention = bench.add_subcommand("attention", "Attention in tiles, forward and backward");
  const auto arguments = std::make_shared<AttentionArguments>();
  const CLI::Range sizes(1, 1 << 16);
  attention->add_option("--lengths", arguments->lengths, "Of a sequence, one after the other")
      ->check(sizes)
      ->delimiter(',');
  attention->add_option("--tokens", arguments->tokens, "Of all sequences together")->check(sizes);
  attention->add_option("--heads", arguments->heads, "Query heads")->check(sizes);
  attention->add_option("--kv-heads", arguments->kv_heads, "Key and value heads")->check(sizes);
  attention->add_option("--head-dim", arguments->head_dim, "Channels of a head")->check(CLI::Range(1, 1024));
  attention->add_option("--document", arguments->document, "Tokens of a document; 0: the whole sequence")
      ->check(CLI::Range(0, 1 << 16));
  attention->add_option("--threads", arguments->threads, "CPU threads")->check(CLI::Range(1, 1024));
  attention->add_flag("--json", arguments->json, "Machine-readable");
  attention->footer("Example:\n  troupe bench attention --lengths 512,4096 --document 256");
  attention->callback([arguments, &action] {
    if (arguments->heads % arguments->kv_heads != 0)
      throw CLI::ValidationError("--kv-heads", "must divide --heads");
    action = [arguments] { return bench_attention(*arguments); };
  });
}

}  // namespace troupe::benchmarks
