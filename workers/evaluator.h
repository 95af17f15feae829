#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/evaluation_order.h"
#include "data/token_dataset.h"
#include "layout/load_statistics.h"
#include "model/model.h"

namespace troupe::workers {

/// Collective: whether something that takes long is to be given up.
using Interrupted = std::function<bool()>;

struct DomainResult {
  double nats = 0.0;        // sum over predicted tokens
  std::int64_t tokens = 0;  // predicted
  std::int64_t bytes = 0;   // UTF-8 bytes of the predicted text
  // With preferences nats and tokens are of pairs, without bytes.
  std::int64_t preferred = -1;  // pairs with a margin above 0; -1: no pairs
};

struct EvaluationResult {
  std::map<std::string, DomainResult> domains;
  layout::LoadStatistics load;  // over the evaluation set
};

/// Loss on held-out text, by domain: full-shape microbatches, no training state changes, the same
/// bits for every layout. The model and the dataset must outlive it. Collective over all workers.
class Evaluator {
 public:
  Evaluator(model::Model& model, const data::TokenDataset& heldout, bool document_mask);

  /// On the first `sequences` of the evaluation set (fewer when the corpus has fewer).
  [[nodiscard]] EvaluationResult evaluate(std::int64_t sequences);
  /// Nothing once `interrupted` says so: it is asked before each microbatch, and all workers get the same
  /// answer.
  [[nodiscard]] std::optional<EvaluationResult> evaluate(std::int64_t sequences,
                                                         const Interrupted& interrupted);

 private:
  struct Run;  // one evaluation in progress

  void evaluate_microbatch(Run& run, std::int64_t microbatch);

  model::Model& model_;
  const data::TokenDataset& heldout_;
  bool document_mask_;
  model::MicrobatchResult result_;
  std::vector<double> token_nll_;
};

}  // namespace troupe::workers
