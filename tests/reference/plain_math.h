#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

/// fp64 arithmetic of the reference model, in plain loops.
namespace troupe::reference {

using Values = std::vector<double>;

[[nodiscard]] inline std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

/// x: [rows, in], w: [out, in] → [rows, out]
[[nodiscard]] inline Values linear(const Values& x, const Values& w, std::int64_t in) {
  const std::int64_t rows = std::ssize(x) / in;
  const std::int64_t out = std::ssize(w) / in;
  Values y(at(rows * out), 0.0);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t i = 0; i < in; ++i) y[at(r * out + o)] += x[at(r * in + i)] * w[at(o * in + i)];
    }
  }
  return y;
}

[[nodiscard]] inline double log_sum_exp(const Values& z) {
  const double largest = *std::ranges::max_element(z);
  double sum = 0.0;
  for (const double value : z) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

[[nodiscard]] inline Values row_of(const Values& matrix, std::int64_t row, std::int64_t columns) {
  return {matrix.begin() + row * columns, matrix.begin() + (row + 1) * columns};
}

inline void add_to_rows(Values& y, const Values& bias) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
}

inline void add(Values& y, const Values& x) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i];
}

}  // namespace troupe::reference
