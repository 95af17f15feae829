#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// A load-balancing loss of a router and its gradient. Reference: experts/aux_loss/load_balance.cpp.
///   values[t] = value_factor · Σ_i f_i p_i, p = s / Σ s;  ds_i += (g_i - Σ_j g_j p_j) / Σ s, g =
///   gradient_factor · f scores, dscores: [tokens, choices]; frequencies: [tokens / stretch, choices];
///   values: [tokens]
struct LoadBalanceArguments {
  Matrix<const float> scores;
  const double* frequencies;
  std::int64_t stretch;  // tokens that share a row of f
  double value_factor;
  double gradient_factor;
  Matrix<float> dscores;
  double* values;
};
void load_balance(Stream stream, const LoadBalanceArguments& arguments);

}  // namespace troupe::cuda
