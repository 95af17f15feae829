#include <algorithm>
#include <cstdio>

#include "op_check.h"
#include "tensor/cuda/activation.h"
#include "tensor/cuda/adamw.h"
#include "tensor/cuda/attention.h"
#include "tensor/cuda/cross_entropy.h"
#include "tensor/cuda/cublaslt.h"
#include "tensor/cuda/elementwise.h"
#include "tensor/cuda/embedding.h"
#include "tensor/cuda/gemm.h"
#include "tensor/cuda/plan.h"
#include "tensor/cuda/rms_norm.h"
#include "tensor/cuda/rope.h"
#include "tensor/cuda/route.h"
#include "tensor/cuda/slots.h"

namespace troupe::op_check {
namespace {

// A model of 64 experts of 1024, hidden 2048, on a microbatch of 16384 tokens.
constexpr std::int64_t kTokens = 16384;
constexpr std::int64_t kHidden = 2048;
constexpr std::int64_t kExperts = 64;
constexpr std::int64_t kExpertSize = 1024;
constexpr std::int64_t kTopK = 8;
constexpr std::int64_t kRows = kTokens * kTopK;
constexpr std::int64_t kLength = 2048;
constexpr std::int64_t kHeads = 16;
constexpr std::int64_t kKvHeads = 4;
constexpr std::int64_t kHeadDim = 128;
constexpr std::int64_t kVocabulary = 50304;
constexpr std::int64_t kLossRows = 4096;  // of a chunk of logits
constexpr double kFloatBytes = 4.0;

/// Device memory for one group of timings, filled with random numbers, and a stopwatch.
class Bench {
 public:
  explicit Bench(device::Device& device) : run_(device), pattern_(random_values(1 << 20, 1)) {}

  [[nodiscard]] cuda::Stream stream() { return run_.stream(); }
  [[nodiscard]] Run& run() { return run_; }

  [[nodiscard]] cuda::Matrix<float> matrix(std::int64_t rows, std::int64_t columns) {
    return {floats(rows * columns), rows, columns, columns};
  }
  [[nodiscard]] float* floats(std::int64_t count) {
    memory_.push_back(run_.device().allocate(static_cast<std::size_t>(count) * sizeof(float)));
    auto* target = static_cast<float*>(memory_.back().data());
    const auto size = std::ssize(pattern_);
    auto& queue = run_.device().compute();
    queue.copy(target, pattern_.data(), static_cast<std::size_t>(std::min(count, size)) * sizeof(float));
    for (std::int64_t at = size; at < count; at += size) {
      queue.copy(target + at, target, static_cast<std::size_t>(std::min(size, count - at)) * sizeof(float));
    }
    queue.synchronize();
    return target;
  }

  /// Mean of five calls after one; amount: operations or bytes of a call, as `unit` says.
  template <class Body>
  void time(const char* name, double amount, const char* unit, const Body& body) {
    constexpr int kCalls = 5;
    auto& queue = run_.device().compute();
    device::Event begin;
    device::Event end;
    body();
    queue.record(begin);
    for (int call = 0; call < kCalls; ++call) body();
    queue.record(end);
    queue.synchronize();
    const double seconds = end.seconds_since(begin) / kCalls;
    std::printf("%-44s %10.3f ms %10.2f %s\n", name, seconds * 1e3, amount / seconds * 1e-12, unit);
    std::fflush(stdout);
  }

 private:
  Run run_;
  std::vector<float> pattern_;
  std::vector<device::Memory> memory_;
};

constexpr const char* kOperations = "TFLOP/s";
constexpr const char* kBytes = "TB/s";

void time_copies(device::Device& device) {
  Bench bench(device);
  constexpr std::int64_t kCount = 1 << 28;
  float* from = bench.floats(kCount);
  float* to = bench.floats(kCount);
  bench.time("copy on the device, 1 GiB", 2.0 * kFloatBytes * kCount, kBytes,
             [&] { device.compute().copy(to, from, kCount * sizeof(float)); });
}

void time_dense(device::Device& device) {
  Bench bench(device);
  constexpr std::int64_t kSize = 4096;
  const auto a = bench.matrix(kSize, kSize);
  const auto b = bench.matrix(kSize, kSize);
  const auto c = bench.matrix(kSize, kSize);
  const double cube = 2.0 * kSize * kSize * kSize;
  bench.time("gemm x Wt 4096^3", cube, kOperations, [&] {
    cuda::gemm(bench.stream(), {false, true, false, a, b, c});
  });
  bench.time("gemm dy W 4096^3", cube, kOperations, [&] {
    cuda::gemm(bench.stream(), {false, false, false, a, b, c});
  });
  bench.time("gemm dyt x 4096^3", cube, kOperations, [&] {
    cuda::gemm(bench.stream(), {true, false, false, a, b, c});
  });
  const auto x = bench.matrix(kTokens, kHidden);
  const auto w = bench.matrix(kHidden, kHidden);
  const auto y = bench.matrix(kTokens, kHidden);
  bench.time("gemm x Wt 16384x2048x2048", 2.0 * kTokens * kHidden * kHidden, kOperations, [&] {
    cuda::gemm(bench.stream(), {false, true, false, x, w, y});
  });
}

void time_cublaslt(device::Device& device) {
  try {
    cuda::CublasLt library;
    Bench bench(device);
    constexpr std::int64_t kSize = 4096;
    const auto a = bench.matrix(kSize, kSize);
    const auto b = bench.matrix(kSize, kSize);
    const auto c = bench.matrix(kSize, kSize);
    bench.time("cublaslt_gemm x Wt 4096^3", 2.0 * kSize * kSize * kSize, kOperations, [&] {
      library.gemm(bench.stream(), {false, true, false, a, b, c});
    });
  } catch (const Error& error) {
    std::printf("cublaslt_gemm is not timed: %s\n", error.what());
  }
}

/// Segments of unequal experts: the largest has three times the rows of the smallest.
std::vector<cuda::Segment> unequal_segments(std::int64_t matrix) {
  std::vector<cuda::Segment> segments;
  std::int64_t next = 0;
  for (std::int64_t e = 0; e < kExperts; ++e) {
    const std::int64_t mean = kRows / kExperts;
    const std::int64_t rows =
        e + 1 == kExperts ? kRows - next : mean / 2 + mean * (e * 37 % kExperts) / kExperts;
    segments.push_back({next, rows, e * matrix});
    next += rows;
  }
  return segments;
}

void time_experts(device::Device& device) {
  Bench bench(device);
  constexpr std::int64_t kColumns = 2 * kExpertSize;
  const auto all = unequal_segments(kColumns * kHidden);
  const cuda::Segments segments{bench.run().upload(all), kExperts, kRows};
  const auto x = bench.matrix(kRows, kHidden);
  const auto y = bench.matrix(kRows, kColumns);
  float* weights = bench.floats(kExperts * kColumns * kHidden);
  float* gradients = bench.floats(kExperts * kColumns * kHidden);
  const double operations = 2.0 * kRows * kColumns * kHidden;
  bench.time("grouped_gemm x Wt 64 experts 2048x2048", operations, kOperations,
             [&] { cuda::grouped_gemm(bench.stream(), segments, true, x, weights, y); });
  bench.time("grouped_gemm dy W", operations, kOperations,
             [&] { cuda::grouped_gemm(bench.stream(), segments, false, y, weights, x); });
  bench.time("grouped_gemm_weight_gradient", operations, kOperations,
             [&] { cuda::grouped_gemm_weight_gradient(bench.stream(), segments, y, x, gradients); });
}

void time_attention(device::Device& device) {
  Bench bench(device);
  const cuda::AttentionSizes sizes{kTokens / kLength, kLength, kHeads, kKvHeads, kHeadDim};
  const auto q = bench.matrix(kTokens, kHeads * kHeadDim);
  const auto k = bench.matrix(kTokens, kKvHeads * kHeadDim);
  const auto v = bench.matrix(kTokens, kKvHeads * kHeadDim);
  const auto out = bench.matrix(kTokens, kHeads * kHeadDim);
  const auto dout = bench.matrix(kTokens, kHeads * kHeadDim);
  const auto dq = bench.matrix(kTokens, kHeads * kHeadDim);
  const auto dk = bench.matrix(kTokens, kKvHeads * kHeadDim);
  const auto dv = bench.matrix(kTokens, kKvHeads * kHeadDim);
  const auto* first = bench.run().upload(std::vector<std::int32_t>(kTokens));
  float* log_sum_exp = bench.floats(kTokens * kHeads);
  float* delta = bench.floats(kTokens * kHeads);
  const double product = 2.0 * kTokens * kLength / 2 * kHeadDim * kHeads;
  bench.time("attention_forward 8x2048 16/4 heads of 128", 2 * product, kOperations, [&] {
    cuda::attention_forward(bench.stream(), {sizes, q, k, v, first, out, log_sum_exp});
  });
  bench.time("attention_backward, five products counted", 5 * product, kOperations, [&] {
    cuda::attention_backward(bench.stream(),
                             {sizes, dout, q, k, v, out, log_sum_exp, first, dq, dk, dv, delta});
  });
}

cuda::Heads<float> heads_of(const cuda::Matrix<float>& matrix, std::int64_t heads) {
  return {matrix.data, matrix.rows, heads, matrix.columns / heads, matrix.stride};
}

void time_rows(device::Device& device) {
  Bench bench(device);
  const auto x = bench.matrix(kTokens, kHidden);
  const auto y = bench.matrix(kTokens, kHidden);
  const auto z = bench.matrix(kTokens, kHidden);
  float* weight = bench.floats(kHidden);
  float* inv_rms = bench.floats(kTokens);
  float* dweight = bench.floats(kHidden);
  float* partial = bench.floats(cuda::rms_norm_chunks(kTokens) * kHidden);
  const double bytes = kFloatBytes * kTokens * kHidden;
  bench.time("rms_norm_forward", 2 * bytes, kBytes, [&] {
    cuda::rms_norm_forward(bench.stream(), {heads_of(x, 1), {}, {}, weight, 1e-5F, heads_of(y, 1), inv_rms});
  });
  bench.time("rms_norm_backward", 3 * bytes, kBytes, [&] {
    cuda::rms_norm_backward(bench.stream(), {heads_of(y, 1), heads_of(x, 1), weight, inv_rms, heads_of(z, 1),
                                             false, dweight, partial});
  });
  const auto positions = random_integers(kTokens, static_cast<std::int32_t>(kLength), 1);
  const auto* device_positions = bench.run().upload(positions);
  float* table = bench.floats(kLength * kHeadDim);
  bench.time("rope", 2 * bytes, kBytes, [&] {
    cuda::rope(bench.stream(), {table, table, kHeadDim, device_positions, heads_of(x, kHeads), false});
  });
  const auto ids = bench.run().upload(random_integers(kTokens, 5000, 2));
  const auto embedding = bench.matrix(kVocabulary, kHidden);
  bench.time("embedding_forward", 2 * bytes, kBytes,
             [&] { cuda::embedding_forward(bench.stream(), ids, embedding, y); });
  auto* scratch = bench.run().output<std::int32_t>(cuda::embedding_backward_scratch(kTokens));
  bench.time("embedding_backward, 5000 ids", 2 * bytes, kBytes,
             [&] { cuda::embedding_backward(bench.stream(), ids, y, embedding, scratch); });
}

void time_expert_rows(device::Device& device) {
  Bench bench(device);
  const auto hidden = bench.matrix(kRows, 2 * kExpertSize);
  const auto activated = bench.matrix(kRows, kExpertSize);
  const double bytes = kFloatBytes * kRows * kExpertSize;
  bench.time("activation_forward swiglu", 3 * bytes, kBytes,
             [&] { cuda::activation_forward(bench.stream(), ops::Activation::kSwiGlu, hidden, activated); });
  bench.time("activation_backward swiglu", 5 * bytes, kBytes, [&] {
    cuda::activation_backward(bench.stream(), ops::Activation::kSwiGlu, activated, hidden, hidden);
  });
}

void time_loss(device::Device& device) {
  Bench bench(device);
  const auto logits = bench.matrix(kLossRows, kVocabulary);
  const auto* targets =
      bench.run().upload(random_integers(kLossRows, static_cast<std::int32_t>(kVocabulary), 1));
  auto* nll = bench.run().output<double>(kLossRows);
  auto* log_z = bench.run().output<double>(kLossRows);
  bench.time(
      "cross_entropy_forward_backward 4096x50304", 2 * kFloatBytes * kLossRows * kVocabulary, kBytes,
      [&] { cuda::cross_entropy_forward_backward(bench.stream(), logits, targets, 1.0F, 0.0F, nll, log_z); });
}

void time_dispatch(device::Device& device) {
  Bench bench(device);
  const auto logits = bench.matrix(kTokens, kExperts);
  const auto scores = bench.matrix(kTokens, kExperts);
  const auto weights = bench.matrix(kTokens, kTopK);
  const auto dweights = bench.matrix(kTokens, kTopK);
  float* bias = bench.floats(kExperts);
  float* log_sum_exp = bench.floats(kTokens);
  const cuda::Matrix<std::int32_t> chosen{bench.run().output<std::int32_t>(kRows), kTokens, kTopK, kTopK};
  auto* counts = bench.run().upload(std::vector<std::int32_t>(kExperts));
  const cuda::RouterRule rule{cuda::RouterScore::kSigmoid, cuda::RouterWeights::kNormalizedScores, 1.0F,
                              1e-20F};
  const double bytes = kFloatBytes * kTokens * kExperts;
  bench.time("route_forward 8 of 64", 2 * bytes, kBytes, [&] {
    cuda::route_forward(bench.stream(), {rule, logits, bias, scores, log_sum_exp, chosen, weights, counts});
  });
  bench.time("route_backward", 3 * bytes, kBytes, [&] {
    cuda::route_backward(bench.stream(),
                         {rule, logits, scores, log_sum_exp, chosen, weights, dweights, {}, 0.001F, logits});
  });
  std::vector<std::int32_t> order;
  for (std::int32_t e = 0; e < kExperts; ++e) order.push_back(e);
  const cuda::PlanArguments plan{chosen.data,
                                 kTokens,
                                 kTopK,
                                 bench.run().upload(order),
                                 kExperts,
                                 bench.run().output<std::int32_t>(kExperts),
                                 bench.run().output<std::int32_t>(kExperts),
                                 bench.run().output<std::int32_t>(kRows),
                                 bench.run().output<std::int32_t>(kRows),
                                 bench.run().output<std::int32_t>(kRows),
                                 bench.run().output<std::int32_t>(cuda::plan_chunks(kRows) * kExperts)};
  bench.time("plan 131072 pairs", 5 * kFloatBytes * kRows, kBytes, [&] { cuda::plan(bench.stream(), plan); });
  const cuda::Matrix<std::int32_t> slots{plan.slots, kTokens, kTopK, kTopK};
  const auto x = bench.matrix(kTokens, kHidden);
  const auto rows = bench.matrix(kRows, kHidden);
  const auto drows = bench.matrix(kRows, kHidden);
  const double row_bytes = kFloatBytes * kRows * kHidden;
  bench.time("gather_rows", row_bytes, kBytes,
             [&] { cuda::gather_rows(bench.stream(), x, plan.tokens, nullptr, nullptr, rows); });
  bench.time("combine_rows", row_bytes, kBytes,
             [&] { cuda::combine_rows(bench.stream(), rows, slots, weights, {}, x); });
  bench.time("combine_rows_backward", 2 * row_bytes, kBytes,
             [&] { cuda::combine_rows_backward(bench.stream(), x, rows, slots, weights, drows, dweights); });
  bench.time("scatter_slots_add", row_bytes, kBytes,
             [&] { cuda::scatter_slots_add(bench.stream(), rows, slots, {}, x); });
}

void time_update(device::Device& device) {
  Bench bench(device);
  constexpr std::int64_t kElements = 1 << 28;
  const std::vector<cuda::AdamWRange> ranges{{0, kElements, 0.1F}};
  cuda::AdamWArguments arguments{1e-4F,
                                 0.9F,
                                 0.1F,
                                 0.95F,
                                 0.05F,
                                 1e-8F,
                                 0.5F,
                                 0.5F,
                                 1.0F,
                                 bench.run().upload(ranges),
                                 1,
                                 kElements,
                                 bench.floats(kElements),
                                 bench.floats(kElements),
                                 bench.floats(kElements),
                                 bench.floats(kElements)};
  bench.time("sums_of_squares 2^28", kFloatBytes * kElements, kBytes, [&] {
    cuda::sums_of_squares(bench.stream(), arguments.value, kElements,
                          reinterpret_cast<double*>(arguments.first_moment));
  });
  bench.time("adamw 2^28", 7 * kFloatBytes * kElements, kBytes,
             [&] { cuda::adamw(bench.stream(), arguments); });
}

}  // namespace

void print_timings(device::Device& device) {
  std::printf("device: %s\n", device.name().c_str());
  time_copies(device);
  time_dense(device);
  time_cublaslt(device);
  time_experts(device);
  time_attention(device);
  time_rows(device);
  time_expert_rows(device);
  time_loss(device);
  time_dispatch(device);
  time_update(device);
}

}  // namespace troupe::op_check
