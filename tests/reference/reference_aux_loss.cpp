// Auxiliary losses of the reference model, in the order of the formulas.
#include "tests/reference/reference_aux_loss.h"

#include <cmath>
#include <numbers>
#include <numeric>

namespace troupe::reference {
namespace {

using experts::AuxLossKind;
using experts::AuxLossOptions;
using experts::AuxScope;
using experts::FrequencySource;
using experts::MoeOptions;
using Counts = std::vector<std::int64_t>;

double sum_of(const Values& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double squared_variation(const Values& values) {
  const double mean = sum_of(values) / static_cast<double>(values.size());
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / static_cast<double>(values.size()) / (mean * mean);
}

Values shares(const Counts& counts, std::size_t choices) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  Values f(choices, 1.0 / static_cast<double>(choices));
  for (std::size_t i = 0; total > 0.0 && i < choices; ++i) f[i] = static_cast<double>(counts[i]) / total;
  return f;
}

/// Counts of the tokens first … last - 1.
Counts counts_of(const MoeOptions& o, bool actual, const AuxLossInput& input, const Routing& routing,
                 std::size_t first, std::size_t last) {
  Counts counts(at(o.choices()));
  for (std::size_t t = first; t < last; ++t) {
    for (const int choice : actual ? routing.chosen[t] : best(input.scores[t], o.top_k)) ++counts[at(choice)];
  }
  return counts;
}

/// f of a token.
Values frequencies(const MoeOptions& o, const AuxLossOptions& loss, const AuxLossInput& input,
                   const Routing& routing, std::size_t token) {
  const bool actual = loss.f_source == FrequencySource::kActual;
  const std::size_t choices = at(o.choices());
  const Step& step = input.step;
  const auto of_layer = [&](const auto& counts, const auto& unbiased) {
    return shares((actual ? counts : unbiased).at(input.moe_layer), choices);
  };
  if (loss.scope == AuxScope::kGlobal) return of_layer(step.global_counts, step.global_unbiased_counts);
  if (loss.scope == AuxScope::kRunning) return of_layer(step.running_counts, step.running_unbiased_counts);
  if (loss.scope == AuxScope::kPrevious) return of_layer(step.previous_counts, step.previous_unbiased_counts);
  if (loss.scope == AuxScope::kSequence) {
    const std::size_t length = at(step.sequence_length);
    const std::size_t first = token / length * length;
    return shares(counts_of(o, actual, input, routing, first, first + length), choices);
  }
  const Counts counts = counts_of(o, actual, input, routing, 0, input.scores.size());
  return shares(counts, choices);
}

double load_balance(const MoeOptions& o, const AuxLossOptions& loss, const AuxLossInput& input,
                    const Routing& routing) {
  double sum = 0.0;
  Values f;
  for (std::size_t t = 0; t < input.scores.size(); ++t) {
    if (t == 0 || (loss.scope == AuxScope::kSequence && t % at(input.step.sequence_length) == 0))
      f = frequencies(o, loss, input, routing, t);
    const Values& s = input.scores[t];
    sum += std::inner_product(s.begin(), s.end(), f.begin(), 0.0) / sum_of(s);
  }
  return static_cast<double>(o.choices()) * sum;
}

double importance(const MoeOptions& o, const Routing& routing) {
  Values sums(at(o.choices()));
  for (std::size_t t = 0; t < routing.chosen.size(); ++t) {
    for (std::size_t j = 0; j < routing.chosen[t].size(); ++j)
      sums[at(routing.chosen[t][j])] += routing.weights[t][j];
  }
  return squared_variation(sums);
}

double smooth_load(const MoeOptions& o, const AuxLossInput& input) {
  Values load(at(o.choices()));
  for (std::size_t t = 0; t < input.logits.size(); ++t) {
    const std::vector<int> order = best(input.logits[t], o.choices());
    for (std::size_t place = 0; place < order.size(); ++place) {
      const std::size_t k = at(o.top_k);
      const std::size_t threshold = at(order[place < k ? k : k - 1]);
      const std::size_t i = at(order[place]);
      const double u = (input.clean_logits[t][i] - input.logits[t][threshold]) / input.noise_std[t][i];
      load[i] += 0.5 * std::erfc(-u / std::numbers::sqrt2);
    }
  }
  return squared_variation(load);
}

double orthogonal(const MoeOptions& o, const Values& weight) {
  const std::int64_t hidden = std::ssize(weight) / o.choices();
  const auto dot = [&](std::int64_t a, std::int64_t b) {
    const auto begin = weight.begin();
    return std::inner_product(begin + a * hidden, begin + (a + 1) * hidden, begin + b * hidden, 0.0);
  };
  double sum = 0.0;
  for (std::int64_t a = 0; a < o.choices(); ++a) {
    for (std::int64_t b = 0; b < o.choices(); ++b)
      sum += std::pow(dot(a, b) / std::sqrt(dot(a, a) * dot(b, b)) - (a == b ? 1.0 : 0.0), 2);
  }
  return sum / static_cast<double>(o.choices() * o.choices());
}

}  // namespace

Values aux_losses(const MoeOptions& options, const AuxLossInput& input, const Routing& routing) {
  const auto tokens = static_cast<double>(input.scores.size());
  Values losses;
  for (const AuxLossOptions& loss : options.aux_loss) {
    if (loss.kind == AuxLossKind::kLoadBalance) losses.push_back(load_balance(options, loss, input, routing));
    if (loss.kind == AuxLossKind::kImportance) losses.push_back(tokens * importance(options, routing));
    if (loss.kind == AuxLossKind::kLoad) losses.push_back(tokens * smooth_load(options, input));
    if (loss.kind == AuxLossKind::kOrthogonal)
      losses.push_back(tokens * orthogonal(options, input.router_weight));
  }
  return losses;
}

}  // namespace troupe::reference
