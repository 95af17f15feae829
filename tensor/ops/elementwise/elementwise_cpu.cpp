#include <algorithm>

#include "tensor/ops/checks.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::ops {

void add(const Execution& execution, std::span<const float> x, std::span<float> y) {
  sum(execution, x, y, y);
}

void sum(const Execution&, std::span<const float> a, std::span<const float> b, std::span<float> out) {
  TROUPE_CHECK(a.size() == out.size() && b.size() == out.size(), "sum: {} and {} elements into {}", a.size(),
               b.size(), out.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = a[i] + b[i];
}

void zero(const Execution&, std::span<float> y) { std::ranges::fill(y, 0.0F); }

double sum_of_squares(std::span<const float> x) {
  double total = 0.0;
  for (const float value : x) total += static_cast<double>(value) * static_cast<double>(value);
  return total;
}

}  // namespace troupe::ops
