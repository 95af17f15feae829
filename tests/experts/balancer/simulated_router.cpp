#include "tests/experts/balancer/simulated_router.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "experts/balancer/margins.h"
#include "experts/router/score.h"
#include "layout/load_counts.h"

namespace troupe::experts {

SimulatedRouter::SimulatedRouter(const MoeOptions& options, const Shape& shape, std::uint64_t seed)
    : options_(options), shape_(shape), seed_(seed), arena_(1 << 24) {
  const auto choices = static_cast<std::size_t>(options.choices());
  batch_.scores.resize(static_cast<std::size_t>(shape.tokens) * choices);
  batch_.counts.resize(choices);
  batch_.margins.resize(static_cast<std::size_t>(options.experts * kMarginBins));
  bias_.resize(choices);
}

namespace {

// Nearly normal, mean 0 and deviation 1: the sum of four uniform numbers, fast to draw.
double bell(const std::array<std::uint32_t, 4>& words) {
  double sum = 0.0;
  for (const std::uint32_t word : words) sum += word;
  return (sum / 4294967296.0 - 2.0) * 1.7320508;
}

}  // namespace

void SimulatedRouter::draw_scores(std::int64_t step) {
  const auto choices = static_cast<std::size_t>(options_.choices());
  const Random skew(seed_, RandomPurpose::kTest, 1);
  std::vector<double> offsets(choices);
  for (std::size_t i = 0; i < choices; ++i) offsets[i] = shape_.skew * skew.normal(i);
  const Random noise(seed_, RandomPurpose::kTest, 2);
  const auto first = static_cast<std::uint64_t>(step) * batch_.scores.size();
  for (std::size_t i = 0; i < batch_.scores.size(); ++i) {
    const double z = offsets[i % choices] + shape_.noise * bell(noise.words(first + i));
    batch_.scores[i] = static_cast<float>(1.0 / (1.0 + std::exp(-z)));
  }
}

const SimulatedBatch& SimulatedRouter::route(std::int64_t step, std::span<const float> bias, int threads) {
  draw_scores(step);
  std::ranges::copy(bias, bias_.begin());
  const Pass pass{.execution = {threads}, .arena = arena_};
  const ArenaScope scope(arena_);
  const ConstTensorView scores(batch_.scores.data(), {shape_.tokens, options_.choices()});
  const SelectionInput input{.values = scores, .logits = scores, .bias = bias_};
  const auto selector = make_selector(options_, 0);
  const TensorView chosen = arena_.allocate({shape_.tokens, selector->slots(shape_.tokens)}, DType::kI32);
  selector->select(pass, input, chosen);
  std::ranges::fill(batch_.counts, 0);
  for (std::int64_t i = 0; i < chosen.elements(); ++i)
    ++batch_.counts[static_cast<std::size_t>(chosen.i32()[i])];
  count_margins(pass, input, options_.top_k, batch_.margins);
  return batch_;
}

Balancing balance(const MoeOptions& options, std::int64_t steps, std::uint64_t seed,
                  const SimulatedRouter::Shape& shape) {
  SimulatedRouter router(options, shape, seed);
  const auto balancer = make_balancer(options);
  Balancing result;
  for (std::int64_t step = 0; step < steps; ++step) {
    const SimulatedBatch& batch = router.route(step, balancer->bias());
    const auto counts = std::span(batch.counts).first(static_cast<std::size_t>(options.experts));
    balancer->update({counts, shape.tokens, batch.margins}, options.balancer.rate.at(step, steps));
    result.counts.emplace_back(counts.begin(), counts.end());
    result.bias.emplace_back(balancer->bias().begin(), balancer->bias().end());
    const std::int64_t pairs = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    result.routed_per_token.push_back(static_cast<double>(pairs) / static_cast<double>(shape.tokens));
  }
  return result;
}

double Balancing::batch_violation(std::size_t steps) const {
  double sum = 0.0;
  for (std::size_t step = counts.size() - steps; step < counts.size(); ++step)
    sum += layout::max_violation(counts[step]);
  return sum / static_cast<double>(steps);
}

double Balancing::window_violation(std::size_t end, std::size_t steps) const {
  std::vector<std::int64_t> sum(counts.front().size());
  for (std::size_t step = end - steps; step < end; ++step)
    std::ranges::transform(sum, counts[step], sum.begin(), std::plus{});
  return layout::max_violation(sum);
}

double Balancing::bias_amplitude(std::size_t steps) const {
  const std::size_t experts = bias.front().size();
  std::vector<double> sum(experts);
  std::vector<double> squares(experts);
  for (std::size_t step = bias.size() - steps; step < bias.size(); ++step) {
    const double mean =
        std::accumulate(bias[step].begin(), bias[step].end(), 0.0) / static_cast<double>(experts);
    for (std::size_t i = 0; i < experts; ++i) {
      sum[i] += bias[step][i] - mean;
      squares[i] += (bias[step][i] - mean) * (bias[step][i] - mean);
    }
  }
  double amplitude = 0.0;
  const auto n = static_cast<double>(steps);
  for (std::size_t i = 0; i < experts; ++i)
    amplitude += std::sqrt(std::max(0.0, squares[i] / n - (sum[i] / n) * (sum[i] / n)));
  return amplitude / static_cast<double>(experts);
}

double Balancing::mean_bias() const {
  const auto& last = bias.back();
  return std::accumulate(last.begin(), last.end(), 0.0) / static_cast<double>(last.size());
}

}  // namespace troupe::experts
