// Balancers that go by how far each expert's load is from the mean.
#include <algorithm>

#include "experts/balancer/bias_state.h"

namespace troupe::experts {
namespace {

class NoBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

void NoBalancer::update(const BalanceInput& input, double /*rate*/) { check_size(input); }

class SignBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

void SignBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  const auto step = static_cast<float>(rate);
  const auto bias = row(0);
  for (std::size_t i = 0; i < experts(); ++i) {
    const int sign = load_sign(pairs, experts(), input.counts[i]);
    if (sign > 0) bias[i] += step;
    if (sign < 0) bias[i] -= step;
  }
}

class SignCenteredBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

void SignCenteredBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  std::int64_t signs = 0;
  for (const std::int64_t count : input.counts) signs += load_sign(pairs, experts(), count);
  const double mean = static_cast<double>(signs) / static_cast<double>(experts());
  for (std::size_t i = 0; i < experts(); ++i) {
    const double sign = load_sign(pairs, experts(), input.counts[i]);
    row(0)[i] = static_cast<float>(static_cast<double>(row(0)[i]) + rate * (sign - mean));
  }
}

class ProportionalBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

void ProportionalBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  if (pairs == 0) return;
  for (std::size_t i = 0; i < experts(); ++i) {
    const double error = load_error(pairs, experts(), input.counts[i]);
    row(0)[i] = static_cast<float>(static_cast<double>(row(0)[i]) + rate * error);
  }
}

/// `proportional` beside zero-compute experts.
class TargetShareBalancer final : public BiasState {
 public:
  explicit TargetShareBalancer(const MoeOptions& options);
  void update(const BalanceInput& input, double rate) override;

 private:
  double top_k_;
  double target_share_;  // of all pairs, that an expert should get
};

/// Routed experts that a token should have on average; if not given, their share of the choices.
double routed_target(const MoeOptions& options) {
  if (options.balancer.routed_per_token > 0.0) return options.balancer.routed_per_token;
  return static_cast<double>(options.top_k * options.experts) / static_cast<double>(options.choices());
}

TargetShareBalancer::TargetShareBalancer(const MoeOptions& options)
    : BiasState(options.experts),
      top_k_(static_cast<double>(options.top_k)),
      target_share_(routed_target(options) / (top_k_ * static_cast<double>(options.experts))) {}

void TargetShareBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  if (input.tokens == 0) return;
  const double all_pairs = top_k_ * static_cast<double>(input.tokens);
  for (std::size_t i = 0; i < experts(); ++i) {
    const double share = static_cast<double>(input.counts[i]) / all_pairs;
    row(0)[i] = static_cast<float>(static_cast<double>(row(0)[i]) + rate * (target_share_ - share));
  }
}

class PidBalancer final : public BiasState {
 public:
  explicit PidBalancer(const MoeOptions& options);
  void update(const BalanceInput& input, double rate) override;

 private:
  double kp_, ki_, kd_, limit_;
};

PidBalancer::PidBalancer(const MoeOptions& options)
    : BiasState(options.experts, 3),
      kp_(options.balancer.kp),
      ki_(options.balancer.ki),
      kd_(options.balancer.kd),
      limit_(options.balancer.integral_limit) {}

void PidBalancer::update(const BalanceInput& input, double /*rate*/) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  if (pairs == 0) return;
  const auto bias = row(0);
  const auto integral = row(1);
  const auto error_before = row(2);
  for (std::size_t i = 0; i < experts(); ++i) {
    const double error = load_error(pairs, experts(), input.counts[i]);
    const double sum = std::clamp(static_cast<double>(integral[i]) + error, -limit_, limit_);
    const double change = error - static_cast<double>(error_before[i]);
    bias[i] = static_cast<float>(kp_ * error + ki_ * sum + kd_ * change);
    integral[i] = static_cast<float>(sum);
    error_before[i] = static_cast<float>(error);
  }
}

}  // namespace

std::unique_ptr<Balancer> make_no_balancer(const MoeOptions& options) {
  return std::make_unique<NoBalancer>(options.experts);
}

std::unique_ptr<Balancer> make_sign_balancer(const MoeOptions& options) {
  return std::make_unique<SignBalancer>(options.experts);
}

std::unique_ptr<Balancer> make_sign_centered_balancer(const MoeOptions& options) {
  return std::make_unique<SignCenteredBalancer>(options.experts);
}

std::unique_ptr<Balancer> make_proportional_balancer(const MoeOptions& options) {
  if (options.router.zero_experts > 0) return std::make_unique<TargetShareBalancer>(options);
  return std::make_unique<ProportionalBalancer>(options.experts);
}

std::unique_ptr<Balancer> make_pid_balancer(const MoeOptions& options) {
  return std::make_unique<PidBalancer>(options);
}

}  // namespace troupe::experts
