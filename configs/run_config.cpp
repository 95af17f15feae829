#include "configs/run_config.h"

namespace troupe::configs {

void describe(Fields& fields, RunConfig& config) {
  fields.group("run", config.run, "The run as a whole");
  fields.group("init_from", config.init_from, "Weights that the run begins with, from another run");
  fields.group("data", config.data, "What it learns from");
  fields.group("model", config.model, "The model");
  fields.group("objective", config.model.objective, "What is minimised");
  fields.group("batch", config.batch, "What a global batch is made of; never changes on resume");
  fields.group("parallel", config.parallel, "Where it is computed; never changes a bit of the result");
  fields.group("control", config.control, "The channel between the coordinator and its workers");
  fields.group("launch", config.launch, "How the coordinator starts workers");
  fields.group("optimizer", config.optimizer, "AdamW");
  fields.group("schedule", config.schedule, "Learning rate over the run");
  fields.group("evaluation", config.evaluation, "Loss on held-out text");
  fields.group("sampling", config.sampling, "Texts that the model writes on the way");
  fields.group("checkpoint", config.checkpoint, "Saved states");
  fields.group("elastic", config.elastic, "What is done when workers are lost");
  fields.group("dashboard", config.dashboard, "The live page");
  fields.group("metrics", config.metrics, "What is measured");
}

}  // namespace troupe::configs
