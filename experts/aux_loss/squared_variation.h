#pragma once
#include <span>
#include <vector>

namespace troupe::experts {

/// CV(v)² = variance / mean², 0 when all are equal or their sum is 0 (arXiv 1701.06538 §4).
[[nodiscard]] double squared_variation(std::span<const double> values);

/// ∂CV²/∂v_i = 2N/S² · (v_i − Q/S), with S = Σv and Q = Σv². values, gradient: [N]
void squared_variation_gradient(std::span<const double> values, std::span<double> gradient);

}  // namespace troupe::experts
