#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "comm/control/messages/messages.h"
#include "layout/specialization.h"

namespace troupe::coordinator {

/// A loss in the units people compare.
struct LossSummary {
  double nats_per_token = 0.0;
  double bits_per_byte = 0.0;      // Σ nats / (ln 2 · UTF-8 bytes of the predicted text)
  double perplexity = 1.0;         // exp(nats per token)
  std::int64_t tokens = 0;         // or pairs of answers, where there is an accuracy
  std::optional<double> accuracy;  // part of the pairs whose chosen half is preferred
  bool operator==(const LossSummary&) const = default;
};

struct EvaluationSummary {
  std::int64_t step = 0;
  LossSummary overall;  // weighted by tokens
  std::map<std::string, LossSummary> domains;
  // By layer, of the counts over the evaluation set.
  std::map<std::int64_t, double> max_violation_global;
  std::map<std::int64_t, layout::Specialization> specialization;  // where counts are split by domain
  bool operator==(const EvaluationSummary&) const = default;
};

/// Domains without predicted tokens are left out; an evaluation without any has an overall loss of 0.
[[nodiscard]] EvaluationSummary summarize(const comm::EvaluationFinished& evaluation);

}  // namespace troupe::coordinator
