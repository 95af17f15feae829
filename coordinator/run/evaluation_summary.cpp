#include "coordinator/run/evaluation_summary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "layout/load_counts.h"

namespace troupe::coordinator {
namespace {

LossSummary summarize_loss(const comm::DomainLoss& loss) {
  LossSummary summary;
  summary.tokens = loss.tokens;
  if (loss.tokens > 0) summary.nats_per_token = loss.nats / static_cast<double>(loss.tokens);
  if (loss.bytes > 0)
    summary.bits_per_byte = loss.nats / (std::numbers::ln2 * static_cast<double>(loss.bytes));
  if (loss.preferred >= 0 && loss.tokens > 0)
    summary.accuracy = static_cast<double>(loss.preferred) / static_cast<double>(loss.tokens);
  summary.perplexity = std::exp(summary.nats_per_token);
  return summary;
}

}  // namespace

EvaluationSummary summarize(const comm::EvaluationFinished& evaluation) {
  EvaluationSummary summary;
  summary.step = evaluation.step;
  comm::DomainLoss total;
  for (const auto& [domain, loss] : evaluation.domains) {
    if (loss.tokens > 0) summary.domains[domain] = summarize_loss(loss);
    total.nats += loss.nats;
    total.tokens += loss.tokens;
    total.bytes += loss.bytes;
    if (loss.preferred >= 0) total.preferred = std::max<std::int64_t>(total.preferred, 0) + loss.preferred;
  }
  summary.overall = summarize_loss(total);
  for (const comm::LayerLoad& load : evaluation.loads) {
    summary.max_violation_global[load.layer] = layout::max_violation(load.counts);
    if (!load.domains.empty())
      summary.specialization[load.layer] = layout::specialization(load.domains, load.counts.size());
  }
  return summary;
}

}  // namespace troupe::coordinator
