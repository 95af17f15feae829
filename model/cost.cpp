#include "model/cost.h"

#include <cmath>

#include "model/parameters.h"

namespace troupe::model {

double routed_experts_per_token(const experts::MoeOptions& moe) {
  const auto chosen = static_cast<double>(moe.top_k);
  if (moe.router.selection == experts::Selection::kExpertChoice) return chosen * moe.capacity.factor;
  if (moe.router.zero_experts == 0) return chosen;
  if (moe.balancer.routed_per_token > 0.0) return moe.balancer.routed_per_token;
  return chosen * static_cast<double>(moe.experts) / static_cast<double>(moe.choices());
}

ParameterCounts count_parameters(const ModelOptions& options, std::int64_t vocab_size) {
  ParameterCounts counts;
  std::int64_t experts = 0;
  for (const ParameterSpec& spec : parameter_specs(options, vocab_size)) {
    counts.total += spec.elements();
    if (spec.kind == ParameterKind::kExpert) experts += spec.elements();
  }
  const std::int64_t look_up = options.tie_embeddings ? 0 : vocab_size * options.hidden_size;
  const double one_each = static_cast<double>(experts) / static_cast<double>(options.moe.experts);
  const auto chosen = std::llround(one_each * routed_experts_per_token(options.moe));
  counts.active = counts.total - look_up - experts + chosen;
  return counts;
}

double training_flops(const ModelOptions& options, std::int64_t vocab_size, std::int64_t tokens,
                      std::int64_t visible_pairs) {
  const auto active = static_cast<double>(count_parameters(options, vocab_size).active);
  const auto attention_width = static_cast<double>(options.attention.heads * options.attention.head_dim);
  return 6.0 * active * static_cast<double>(tokens) +
         12.0 * attention_width * static_cast<double>(options.layers) * static_cast<double>(visible_pairs);
}

double training_flops_per_token(const ModelOptions& options, std::int64_t vocab_size,
                                std::int64_t sequence_length) {
  const double pairs = static_cast<double>(sequence_length) * static_cast<double>(sequence_length + 1) / 2.0;
  const auto length = static_cast<double>(sequence_length);
  return training_flops(options, vocab_size, sequence_length, static_cast<std::int64_t>(pairs)) / length;
}

}  // namespace troupe::model
