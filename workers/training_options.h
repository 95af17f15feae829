#pragma once
#include <cstdint>

#include "data/options.h"
#include "layout/layout.h"
#include "layout/options.h"
#include "model/model.h"
#include "model/options.h"
#include "optimizer/options.h"

namespace troupe::workers {

/// What a trainer needs of a run's configuration.
struct TrainingOptions {
  std::uint64_t seed = 1;
  std::int64_t steps = 1;  // of the whole run: schedules refer to it
  model::ModelOptions model;
  std::int64_t vocab_size = 0;  // resolved, padded
  data::DataOptions data;
  layout::BatchShape batch;
  optimizer::OptimizerOptions optimizer;
  optimizer::ScheduleOptions schedule;
  std::int64_t verify_every = 0;   // steps between comparisons of replicas; 0: never
  double loss_spike_sigmas = 0.0;  // a step with such a loss is skipped; 0: none
  int threads = 1;
  bool recompute = false;    // blocks are computed again in backward
  bool profile_ops = false;  // the model's profile counts ops too
  layout::DispatchOptions dispatch = {};
  std::int64_t hold_microbatches = 0;  // between forward and backward; 0: all that go forward together
};

/// The model that is trained so. corpus_domains: of the corpus, by which load is counted where that costs
/// next to nothing, and not on a device.
[[nodiscard]] model::ModelSetup model_setup(const TrainingOptions& options, const layout::Layout& layout,
                                            std::int64_t corpus_domains, Accelerator* accelerator = nullptr);

}  // namespace troupe::workers
