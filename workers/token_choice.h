#pragma once
#include <cstdint>
#include <span>

namespace troupe::workers {

/// How the next token is chosen: among the likely ones that every part of the rule leaves, by their
/// probabilities at this temperature.
struct SamplingRule {
  double temperature = 0.8;  // 0: the most likely token
  std::int64_t top_k = 40;   // of the most likely tokens; 0: all
  double top_p = 1.0;        // the fewest most likely tokens that have this probability together (1904.09751)
  double min_p = 0.0;        // tokens with this part of the most likely one's probability (2407.01082)
};

/// The next token by a uniform number in [0, 1). Ties go to the lower id.
[[nodiscard]] std::int32_t choose_token(std::span<const float> logits, const SamplingRule& rule,
                                        double uniform);

/// ln of the probability of a token, at temperature 1.
[[nodiscard]] double log_probability(std::span<const float> logits, std::int32_t token);

}  // namespace troupe::workers
