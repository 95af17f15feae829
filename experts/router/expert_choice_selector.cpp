#include <algorithm>
#include <limits>
#include <numeric>

#include "base/index.h"
#include "experts/router/capacity.h"
#include "experts/router/selector.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

class ExpertChoiceSelector final : public Selector {
 public:
  explicit ExpertChoiceSelector(const MoeOptions& options) : options_(options) {}

  [[nodiscard]] std::int64_t slots(std::int64_t /*tokens*/) const override { return options_.experts; }

  [[nodiscard]] std::int64_t memory(std::int64_t tokens) const override {
    return 2 * options_.experts * tokens;
  }

  void select(const Pass& pass, const SelectionInput& input, TensorView chosen) const override {
    const std::int64_t tokens = input.values.rows();
    const ArenaScope scope(pass.arena);
    const TensorView values = pass.arena.allocate({options_.experts, tokens});
    const TensorView order = pass.arena.allocate({options_.experts, tokens}, DType::kI32);
    parallel_for(pass.execution, options_.experts, [&](std::int64_t expert) {
      take_best(input.values, expert, row(values, expert), ids(order, expert), chosen);
    });
    for_tokens(pass.execution, tokens,
               [&](std::int64_t token, std::int64_t) { to_experts(ids(chosen, token)); });
  }

 private:
  /// Marks the expert's tokens in its column of `taken`: 1, the others 0.
  void take_best(ConstTensorView all, std::int64_t expert, std::span<float> values,
                 std::span<std::int32_t> order, TensorView taken) const {
    for (std::size_t t = 0; t < values.size(); ++t) {
      const float value = row(all, static_cast<std::int64_t>(t))[at(expert)];
      values[t] = std::isnan(value) ? -std::numeric_limits<float>::infinity() : value;
    }
    std::iota(order.begin(), order.end(), 0);
    const auto size = expert_choice_size(options_, std::ssize(values));
    std::nth_element(order.begin(), order.begin() + size, order.end(), [&](std::int32_t a, std::int32_t b) {
      const float left = values[at(a)];
      const float right = values[at(b)];
      return left > right || (left == right && a < b);
    });
    for (std::int64_t i = 0; i < std::ssize(order); ++i)
      ids(taken, order[at(i)])[at(expert)] = i < size ? 1 : 0;
  }

  /// A row of marks becomes the marked experts, then -1.
  static void to_experts(std::span<std::int32_t> row) {
    std::size_t count = 0;
    for (std::size_t expert = 0; expert < row.size(); ++expert) {
      if (row[expert] != 0) row[count++] = static_cast<std::int32_t>(expert);
    }
    std::ranges::fill(row.subspan(count), -1);
  }

  MoeOptions options_;
};

}  // namespace

std::int64_t expert_choice_size(const MoeOptions& options, std::int64_t tokens) {
  return expert_capacity(options, tokens);
}

std::unique_ptr<Selector> make_expert_choice_selector(const MoeOptions& options) {
  return std::make_unique<ExpertChoiceSelector>(options);
}

}  // namespace troupe::experts
