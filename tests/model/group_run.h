#pragma once
#include <vector>

#include "model/microbatch.h"
#include "model/preference.h"
#include "tests/reference/fixtures.h"

namespace troupe::model {

/// How a global batch is computed; must not change a bit of what comes out.
struct GroupLayout {
  int workers = 1;
  int threads = 1;
};

/// One step's gradients before they are added up, and everything else that the lanes yield.
struct GroupRun {
  std::vector<std::vector<float>> dense;         // [lanes], dense gradient of each microbatch
  std::vector<std::vector<float>> expert_lanes;  // [expert lanes], of all experts, in ParameterTable order
  std::vector<MicrobatchResult> results;         // [lanes]
  std::vector<std::vector<PairScores>> scores;   // [lanes], by score(), with an objective that compares
  std::vector<std::vector<double>> token_nll;    // [lanes], by evaluate(); 0 of a reward model
  std::vector<std::vector<float>> last_logits;   // [lanes], of the last row
};

/// Runs every microbatch (one per lane) on `workers` threads that form one expert group, in waves, as
/// the trainer does: a worker without a lane in the last wave joins with zero tokens.
[[nodiscard]] GroupRun run_group(const ModelOptions& options, const std::vector<reference::Batch>& lanes,
                                 const reference::Step& step, int expert_lanes, const GroupLayout& layout);

}  // namespace troupe::model
