#pragma once
#include <cstdint>

#include "layout/layout.h"
#include "model/model.h"
#include "workers/step/training_state.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// Carries weights and optimizer moments of experts from their places in the model's layout to those in `to`,
/// which differ in nothing but the placement. Weights travel inside each group; moments between any two
/// workers, since every replica keeps those of its slice only. One exchange; afterwards `model` and `state`
/// are what they would be had the run always been placed so. Needs memory for another copy of this worker's
/// experts while it lasts. Collective over the model's workers, between two steps.
/// Returns the bytes that travelled between workers, of all workers together.
std::int64_t migrate_experts(const TrainingOptions& options, const layout::Layout& to, model::Model& model,
                             TrainingState& state);

}  // namespace troupe::workers
