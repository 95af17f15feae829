#include <algorithm>
#include <array>
#include <cmath>

#include "base/index.h"
#include "experts/router/selector.h"
#include "experts/router/top_k.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

constexpr float kSmallest = 1e-30F;        // of a sum or scale: extreme logits stay finite
constexpr std::int64_t kColumnBlock = 16;  // columns that one thread sums

/// Scaled values u_t K_ti v_i rank a token's experts as z_ti + log v_i does: rows' scales u, and whatever
/// is divided out of a row, change no order. K is exp(z) less the row's and the column's largest z, so
/// that every row and every column has a 1.
class SinkhornSelector final : public Selector {
 public:
  explicit SinkhornSelector(const MoeOptions& options)
      : choices_(options.choices()), top_k_(options.top_k), rounds_(options.router.sinkhorn_iterations) {}

  [[nodiscard]] std::int64_t slots(std::int64_t /*tokens*/) const override { return top_k_; }

  [[nodiscard]] std::int64_t memory(std::int64_t tokens) const override {
    return tokens * (choices_ + 1) + 2 * choices_ + token_blocks(tokens) * (choices_ + top_k_);
  }

  void select(const Pass& pass, const SelectionInput& input, TensorView chosen) const override {
    const std::int64_t tokens = input.logits.rows();
    const std::int64_t choices = input.logits.columns();
    const ArenaScope scope(pass.arena);
    const TensorView kernel = pass.arena.allocate({tokens, choices});
    const TensorView offsets = pass.arena.allocate({choices});
    const TensorView row_scales = pass.arena.allocate({tokens});
    const TensorView column_scales = pass.arena.allocate({choices});
    make_kernel(pass, input.logits, kernel, offsets.floats());
    std::ranges::fill(column_scales.floats(), 1.0F);
    for (std::int64_t round = 0; round < rounds_; ++round) {
      scale_rows(pass, kernel, column_scales.floats(), row_scales.floats());
      scale_columns(pass, kernel, row_scales.floats(), column_scales.floats());
    }
    for (std::int64_t i = 0; i < choices; ++i)
      offsets.f32()[i] = std::log(column_scales.f32()[i]) - offsets.f32()[i];
    choose(pass, input.logits, offsets.floats(), chosen);
  }

 private:
  /// K_ti = exp(z_ti - max_i z_ti - c_i), c: [choices], the column's largest
  static void make_kernel(const Pass& pass, ConstTensorView z, TensorView kernel, std::span<float> c) {
    for_tokens(pass.execution, z.rows(), [&](std::int64_t token, std::int64_t) {
      const auto from = row(z, token);
      const float largest = *std::ranges::max_element(from);
      std::ranges::transform(from, row(kernel, token).begin(), [&](float value) { return value - largest; });
    });
    if (z.rows() > 0) std::ranges::copy(row(kernel, 0), c.begin());
    for (std::int64_t token = 1; token < z.rows(); ++token) {
      const auto values = row(kernel, token);
      for (std::size_t i = 0; i < c.size(); ++i) c[i] = std::max(c[i], values[i]);
    }
    for_tokens(pass.execution, z.rows(), [&](std::int64_t token, std::int64_t) {
      const auto values = row(kernel, token);
      for (std::size_t i = 0; i < c.size(); ++i) values[i] = std::exp(values[i] - c[i]);
    });
  }

  /// u_t = 1 / Σ_i K_ti v_i
  static void scale_rows(const Pass& pass, TensorView kernel, std::span<const float> v, std::span<float> u) {
    for_tokens(pass.execution, kernel.rows(), [&](std::int64_t token, std::int64_t) {
      const auto values = row(kernel, token);
      float sum = 0.0F;
      for (std::size_t i = 0; i < v.size(); ++i) sum += values[i] * v[i];
      u[at(token)] = 1.0F / std::max(sum, kSmallest);
    });
  }

  /// v_i = 1 / Σ_t K_ti u_t, tokens in order; then divided by the largest, which changes no order.
  static void scale_columns(const Pass& pass, TensorView kernel, std::span<const float> u,
                            std::span<float> v) {
    const auto columns = std::ssize(v);
    parallel_for(pass.execution, (columns + kColumnBlock - 1) / kColumnBlock, [&](std::int64_t block) {
      const auto first = at(block * kColumnBlock);
      const std::size_t count = std::min<std::size_t>(kColumnBlock, v.size() - first);
      std::array<float, kColumnBlock> sums{};
      for (std::size_t t = 0; t < u.size(); ++t) {
        const auto values = row(kernel, static_cast<std::int64_t>(t)).subspan(first, count);
        for (std::size_t i = 0; i < count; ++i) sums[i] += values[i] * u[t];
      }
      for (std::size_t i = 0; i < count; ++i) v[first + i] = 1.0F / std::max(sums[i], kSmallest);
    });
    const float largest = *std::ranges::max_element(v);
    for (float& scale : v) scale = std::max(scale / largest, kSmallest);
  }

  void choose(const Pass& pass, ConstTensorView z, std::span<const float> offsets, TensorView chosen) const {
    const TensorView scratch = pass.arena.allocate({token_blocks(z.rows()), z.columns() + top_k_});
    for_tokens(pass.execution, z.rows(), [&](std::int64_t token, std::int64_t block) {
      const auto values = row(z, token);
      const auto balanced = row(scratch, block).first(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) balanced[i] = values[i] + offsets[i];
      top_k(balanced, ids(chosen, token), row(scratch, block).subspan(values.size()));
    });
  }

  std::int64_t choices_;
  std::int64_t top_k_;
  std::int64_t rounds_;
};

}  // namespace

std::unique_ptr<Selector> make_sinkhorn_selector(const MoeOptions& options) {
  return std::make_unique<SinkhornSelector>(options);
}

}  // namespace troupe::experts
