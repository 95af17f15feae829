#include "optimizer/options.h"

namespace troupe::optimizer {

void describe(Fields& fields, OptimizerOptions& options) {
  fields.choice("kind", options.kind, kOptimizerNames, "Optimizer");
  fields.real("lr", options.lr, {0.0, 1e3}, "Learning rate after warm-up");
  fields.reals("betas", options.betas, 2, kFraction, "Decay of the first and second moments");
  fields.real("eps", options.eps, {0.0, 1.0}, "Added to the root of the second moment");
  fields.real("weight_decay", options.weight_decay, {0.0, 1e3},
              "Decoupled weight decay; none on embeddings and norms");
  fields.real("grad_clip", options.grad_clip, kNonNegativeReal,
              "Largest global gradient norm; 0: no clipping");
}

void describe(Fields& fields, ScheduleOptions& options) {
  fields.choice("kind", options.kind, kScheduleNames, "How the learning rate moves after warm-up");
  fields.integer("warmup", options.warmup, kNonNegative,
                 "Steps of linear warm-up; the first has lr / warmup");
  fields.integer("decay", options.decay, kNonNegative, "Last steps, in which wsd decays");
  fields.choice("decay_shape", options.decay_shape, kDecayShapeNames, "Curve of that decay");
  fields.real("final_ratio", options.final_ratio, kFraction, "Learning rate at the end, as part of lr");
}

}  // namespace troupe::optimizer
