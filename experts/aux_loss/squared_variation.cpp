#include "experts/aux_loss/squared_variation.h"

#include <algorithm>
#include <numeric>

namespace troupe::experts {
namespace {

double sum_of(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double sum_of_squares(std::span<const double> values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

}  // namespace

double squared_variation(std::span<const double> values) {
  const double sum = sum_of(values);
  if (sum == 0.0) return 0.0;
  const auto count = static_cast<double>(values.size());
  const double mean = sum / count;
  double variance = 0.0;
  for (const double value : values) variance += (value - mean) * (value - mean);
  return variance / count / (mean * mean);
}

void squared_variation_gradient(std::span<const double> values, std::span<double> gradient) {
  const double sum = sum_of(values);
  const double level = sum == 0.0 ? 0.0 : sum_of_squares(values) / sum;
  const double scale = sum == 0.0 ? 0.0 : 2.0 * static_cast<double>(values.size()) / (sum * sum);
  for (std::size_t i = 0; i < values.size(); ++i) gradient[i] = scale * (values[i] - level);
}

}  // namespace troupe::experts
