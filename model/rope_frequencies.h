#pragma once
#include <cstdint>
#include <vector>

#include "model/options.h"

namespace troupe::model {

/// What turns a pair of channels by one position, in radians, and the factor on what is turned.
struct RopeFrequencies {
  std::vector<double> values;  // [channels / 2]
  double magnitude = 1.0;
  bool operator==(const RopeFrequencies&) const = default;
};

/// Of the rotated channels of a head: theta^(-2i/channels), stretched as options.scaling says.
///   linear  all divided by factor (arXiv 2306.15595)
///   llama3  wavelengths beyond original_length / low_frequency_factor divided by factor, those within
///           original_length / high_frequency_factor kept, a mixture between (Llama 3.1)
///   yarn    a ramp over the channels, from beta_fast rotations in the original length to beta_slow, with a
///           magnitude (arXiv 2309.00071)
///   ntk     theta times factor^(channels / (channels - 2)): the slowest pair is divided by factor, the
///   fastest
///           stays (arXiv 2309.00071, definition 1)
[[nodiscard]] RopeFrequencies rope_frequencies(const RopeOptions& options, std::int64_t channels);

/// Rotated channels of heads of this width: an even number.
[[nodiscard]] std::int64_t rotated_channels(const AttentionOptions& mixer);

}  // namespace troupe::model
