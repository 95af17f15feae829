#pragma once
#include "model/model.h"
#include "workers/step/partition.h"

namespace troupe::workers {

/// A model at its initial values, as model::Model::initialize() gives them, with the work shared: every
/// worker computes the values that it owns, by all its threads, and gets the others'. Collective.
void initialize_together(const Partition& partition, model::Model& model);

}  // namespace troupe::workers
