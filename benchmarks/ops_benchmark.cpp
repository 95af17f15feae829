// Rates of single ops on one thread, at the shapes of configs/benchmarks/moe_step.yaml:
//   build/release/bin/ops_benchmark --benchmark_filter=gemm
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "base/signals.h"
#include "tensor/ops/activation/activation.h"
#include "tensor/ops/adamw/adamw.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/cross_entropy/cross_entropy.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/rms_norm/rms_norm.h"
#include "tensor/ops/rope/rope.h"
#include "tensor/parallel.h"

namespace troupe::ops {
namespace {

constexpr Execution kOneThread{1};
constexpr std::int64_t kTokens = 2048;
constexpr std::int64_t kHidden = 512;
constexpr std::int64_t kTopK = 4;

Tensor random_tensor(const Shape& shape) {
  const Random random(1, RandomPurpose::kTest);
  Tensor tensor(shape);
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    const auto words = random.words(static_cast<std::uint64_t>(i));
    tensor.f32()[i] = static_cast<float>(words[0]) * 0x1.0p-31F - 1.0F;
  }
  return tensor;
}

void report_flops(benchmark::State& state, double flops) {
  state.counters["FLOP/s"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

void report_bytes(benchmark::State& state, std::int64_t floats) {
  state.SetBytesProcessed(state.iterations() * floats * static_cast<std::int64_t>(sizeof(float)));
}

// range: m, n, k, transpose_a, transpose_b, accumulate
void gemm_rate(benchmark::State& state) {
  const std::int64_t m = state.range(0);
  const std::int64_t n = state.range(1);
  const std::int64_t k = state.range(2);
  const bool transpose_a = state.range(3) != 0;
  const bool transpose_b = state.range(4) != 0;
  const Tensor a = random_tensor(transpose_a ? Shape{k, m} : Shape{m, k});
  const Tensor b = random_tensor(transpose_b ? Shape{n, k} : Shape{k, n});
  Tensor c(Shape{m, n});
  for (auto _ : state) {
    gemm(kOneThread, Transpose{transpose_a}, Transpose{transpose_b}, a, b, c,
         Accumulate{state.range(5) != 0});
  }
  report_flops(state, 2.0 * static_cast<double>(m * n * k));
}
BENCHMARK(gemm_rate)
    ->Name("gemm")
    ->ArgNames({"m", "n", "k", "ta", "tb", "add"})
    ->Args({2048, 1024, 512, 0, 0, 0})  // query, key, value projection
    ->Args({2048, 512, 1024, 0, 1, 0})  // its gradient by the input
    ->Args({512, 1024, 2048, 1, 0, 0})  // its gradient by the weight
    ->Args({512, 8192, 512, 0, 1, 0})   // head, a chunk of tokens
    ->Args({16, 512, 512, 0, 0, 0})     // an expert's segments of several lengths
    ->Args({64, 512, 512, 0, 0, 0})
    ->Args({256, 512, 512, 0, 0, 0})
    ->Args({256, 512, 512, 0, 1, 0})
    ->Args({512, 512, 256, 1, 0, 1});

struct AttentionCase {
  AttentionShape shape;
  Tensor q, k, v, out, log_sum_exp, first_visible;

  explicit AttentionCase(const benchmark::State& state)
      : shape{.sequences = 2048 / state.range(0),
              .length = state.range(0),
              .heads = state.range(1),
              .kv_heads = state.range(2),
              .head_dim = state.range(3)},
        q(random_tensor(Shape{tokens(), shape.heads * shape.head_dim})),
        k(random_tensor(Shape{tokens(), shape.kv_heads * shape.head_dim})),
        v(random_tensor(k.shape())),
        out(q.shape()),
        log_sum_exp(Shape{shape.sequences * shape.heads, shape.length}),
        first_visible(Shape{tokens()}, DType::kI32) {}

  [[nodiscard]] std::int64_t tokens() const { return shape.sequences * shape.length; }
  void forward() { attention_forward(kOneThread, shape, q, k, v, first_visible, out, log_sum_exp); }
  /// Channels of all unmasked (query, key) pairs.
  [[nodiscard]] double work() const {
    return static_cast<double>(shape.sequences * shape.heads * shape.length * (shape.length + 1) / 2 *
                               shape.head_dim);
  }
};

void attention_forward_rate(benchmark::State& state) {
  AttentionCase attention(state);
  for (auto _ : state) attention.forward();
  report_flops(state, 4.0 * attention.work());
}

void attention_backward_rate(benchmark::State& state) {
  AttentionCase attention(state);
  attention.forward();
  const Tensor dout = random_tensor(attention.q.shape());
  Tensor dq(attention.q.shape());
  Tensor dk(attention.k.shape());
  Tensor dv(attention.k.shape());
  Arena arena(std::size_t{1} << 26);
  for (auto _ : state) {
    attention_backward(kOneThread, arena, attention.shape, dout, attention.q, attention.k, attention.v,
                       attention.out, attention.log_sum_exp, attention.first_visible, dq, dk, dv);
  }
  report_flops(state, 8.0 * attention.work());
}

void attention_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"length", "heads", "kv_heads", "head_dim"})
      ->Args({512, 8, 4, 64})
      ->Args({2048, 8, 4, 64})
      ->Args({256, 8, 8, 32})
      ->Args({512, 4, 2, 128});
}
BENCHMARK(attention_forward_rate)->Name("attention_forward")->Apply(attention_shapes);
BENCHMARK(attention_backward_rate)->Name("attention_backward")->Apply(attention_shapes);

void rms_norm_rate(benchmark::State& state) {
  const Tensor x = random_tensor(Shape{kTokens, kHidden});
  const Tensor weight = random_tensor(Shape{kHidden});
  Tensor y(x.shape());
  Tensor inv_rms(Shape{kTokens});
  for (auto _ : state) rms_norm_forward(kOneThread, x, weight, 1e-5, y, inv_rms);
  report_bytes(state, 2 * x.elements());
}
BENCHMARK(rms_norm_rate)->Name("rms_norm_forward");

void rms_norm_backward_rate(benchmark::State& state) {
  const Tensor x = random_tensor(Shape{kTokens, kHidden});
  const Tensor weight = random_tensor(Shape{kHidden});
  const Tensor inv_rms = random_tensor(Shape{kTokens});
  Tensor dx(x.shape());
  Tensor dweight(Shape{kHidden});
  for (auto _ : state) rms_norm_backward(kOneThread, x, x, weight, inv_rms, dx, dweight, true);
  report_bytes(state, 4 * x.elements());
}
BENCHMARK(rms_norm_backward_rate)->Name("rms_norm_backward");

void rope_rate(benchmark::State& state) {
  const RopeTable table(512, 64, 10000.0);
  const Tensor positions(Shape{kTokens}, DType::kI32);
  Tensor x = random_tensor(Shape{kTokens, kHidden});
  for (auto _ : state) rope(kOneThread, table, positions, 64, RopeDirection::kForward, x);
  report_bytes(state, 2 * x.elements());
}
BENCHMARK(rope_rate)->Name("rope");

// range: the form
void activation_forward_rate(benchmark::State& state) {
  const auto activation = static_cast<Activation>(state.range(0));
  const Tensor x = random_tensor(Shape{kTokens, input_columns(activation) * kHidden / 2});
  Tensor y(Shape{kTokens, kHidden / 2});
  for (auto _ : state) activation_forward(kOneThread, activation, x, y);
  report_bytes(state, x.elements() + y.elements());
}
BENCHMARK(activation_forward_rate)->Name("activation_forward")->ArgName("form")->DenseRange(0, 5);

void activation_backward_rate(benchmark::State& state) {
  const auto activation = static_cast<Activation>(state.range(0));
  const Tensor x = random_tensor(Shape{kTokens, input_columns(activation) * kHidden / 2});
  const Tensor dy = random_tensor(Shape{kTokens, kHidden / 2});
  Tensor dx(x.shape());
  for (auto _ : state) activation_backward(kOneThread, activation, dy, x, dx);
  report_bytes(state, 2 * x.elements() + dy.elements());
}
BENCHMARK(activation_backward_rate)->Name("activation_backward")->ArgName("form")->DenseRange(0, 5);

void cross_entropy_rate(benchmark::State& state) {
  constexpr std::int64_t kRows = 256;
  Tensor logits = random_tensor(Shape{kRows, 8192});
  const Tensor targets(Shape{kRows}, DType::kI32);
  std::vector<double> nll(kRows);
  std::vector<double> log_z(kRows);
  for (auto _ : state) cross_entropy_forward_backward(kOneThread, logits, targets, 1.0F, 0.0F, nll, log_z);
  state.SetItemsProcessed(state.iterations() * logits.elements());
}
BENCHMARK(cross_entropy_rate)->Name("cross_entropy");

void combine_rate(benchmark::State& state) {
  const Tensor y = random_tensor(Shape{kTokens * kTopK, kHidden});
  const Tensor weights = random_tensor(Shape{kTokens, kTopK});
  const Tensor base = random_tensor(Shape{kTokens, kHidden});
  Tensor slots(Shape{kTokens, kTopK}, DType::kI32);
  constexpr std::int64_t kPrime = 4099;  // a permutation far from the order in memory
  for (std::int64_t i = 0; i < slots.elements(); ++i) {
    slots.i32()[i] = static_cast<std::int32_t>(i * kPrime % slots.elements());
  }
  Tensor out(base.shape());
  for (auto _ : state) combine_rows(kOneThread, y, slots, weights, base, out);
  report_bytes(state, y.elements() + 2 * base.elements());
}
BENCHMARK(combine_rate)->Name("combine_rows");

void adamw_rate(benchmark::State& state) {
  constexpr std::int64_t kCount = std::int64_t{1} << 22;
  Tensor value = random_tensor(Shape{kCount});
  const Tensor gradient = random_tensor(Shape{kCount});
  Tensor first(Shape{kCount});
  Tensor second(Shape{kCount});
  const AdamWStep step{1e-3, 0.9, 0.95, 1e-8, 0.1, 3, 1.0F};
  for (auto _ : state) {
    adamw(kOneThread, step, value.floats(), gradient.floats(), first.floats(), second.floats());
  }
  report_bytes(state, 7 * kCount);
}
BENCHMARK(adamw_rate)->Name("adamw");

}  // namespace
}  // namespace troupe::ops

int main(int argc, char** argv) {
  troupe::signals::take_over();
  troupe::use_one_library_thread();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
