#include "model/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/index.h"

namespace troupe::model {
namespace {

constexpr double kTurn = 2.0 * std::numbers::pi;

double llama3_frequency(const RopeScalingOptions& scaling, double frequency) {
  const double rotations = static_cast<double>(scaling.original_length) * frequency / kTurn;
  if (rotations < scaling.low_frequency_factor) return frequency / scaling.factor;
  if (rotations > scaling.high_frequency_factor) return frequency;
  const double kept = (rotations - scaling.low_frequency_factor) /
                      (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return kept * frequency + (1.0 - kept) * frequency / scaling.factor;
}

/// The pair, not a whole number, that turns `rotations` times in the original length.
double pair_of_rotations(const RopeOptions& options, std::int64_t channels, double rotations) {
  const double length = static_cast<double>(options.scaling.original_length);
  return static_cast<double>(channels) * std::log(length / (rotations * kTurn)) /
         (2.0 * std::log(options.theta));
}

void stretch_by_yarn(const RopeOptions& options, std::int64_t channels, std::vector<double>& frequencies) {
  const RopeScalingOptions& scaling = options.scaling;
  double first = pair_of_rotations(options, channels, scaling.beta_fast);
  double last = pair_of_rotations(options, channels, scaling.beta_slow);
  if (scaling.truncate) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, static_cast<double>(channels - 1));
  constexpr double kLeastRamp = 1e-3;
  const double ramp = first == last ? kLeastRamp : last - first;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double stretched = std::clamp((static_cast<double>(i) - first) / ramp, 0.0, 1.0);
    frequencies[i] *= stretched / scaling.factor + (1.0 - stretched);
  }
}

double yarn_magnitude(const RopeScalingOptions& scaling) {
  return scaling.magnitude > 0.0 ? scaling.magnitude : 0.1 * std::log(scaling.factor) + 1.0;
}

/// Two channels have one pair, which is the fastest.
double ntk_theta(const RopeOptions& options, std::int64_t channels) {
  if (channels <= 2) return options.theta;
  const auto d = static_cast<double>(channels);
  return options.theta * std::pow(options.scaling.factor, d / (d - 2.0));
}

}  // namespace

std::int64_t rotated_channels(const AttentionOptions& mixer) {
  if (mixer.positions != Positions::kRope) return 0;
  if (mixer.kind == AttentionKind::kMla) return mixer.latent.rope_dim;
  return static_cast<std::int64_t>(static_cast<double>(mixer.head_dim) * mixer.rope.fraction) / 2 * 2;
}

RopeFrequencies rope_frequencies(const RopeOptions& options, std::int64_t channels) {
  const bool by_base = options.scaling.kind == RopeScalingKind::kNtk;
  const double theta = by_base ? ntk_theta(options, channels) : options.theta;
  RopeFrequencies frequencies;
  for (std::int64_t i = 0; i < channels / 2; ++i) {
    frequencies.values.push_back(
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(channels)));
  }
  switch (options.scaling.kind) {
    case RopeScalingKind::kNone:
    case RopeScalingKind::kNtk:
      break;
    case RopeScalingKind::kLinear:
      for (double& frequency : frequencies.values) frequency /= options.scaling.factor;
      break;
    case RopeScalingKind::kLlama3:
      for (double& frequency : frequencies.values) frequency = llama3_frequency(options.scaling, frequency);
      break;
    case RopeScalingKind::kYarn:
      stretch_by_yarn(options, channels, frequencies.values);
      frequencies.magnitude = yarn_magnitude(options.scaling);
      break;
  }
  return frequencies;
}

}  // namespace troupe::model
