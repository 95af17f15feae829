#include "optimizer/options.h"

namespace troupe::optimizer {

std::int64_t length_in_steps(double length, std::int64_t steps) {
  if (length >= 1.0) return static_cast<std::int64_t>(length);
  constexpr double kRounding = 1e-9;  // 0.29 of 100 steps are 29
  return static_cast<std::int64_t>(length * static_cast<double>(steps) + kRounding);
}

void describe(Fields& fields, OptimizerOptions& options) {
  fields.real("lr", options.lr, {0.0, 1e3}, "Learning rate after warm-up");
  fields.reals("betas", options.betas, 2, kFraction, "Decay of the first and second moments");
  fields.real("eps", options.eps, {1e-30, 1.0}, "Added to the root of the second moment");
  fields.real("weight_decay", options.weight_decay, {0.0, 1e3},
              "Decoupled weight decay; none on embeddings and norms");
  fields.real("grad_clip", options.grad_clip, kNonNegativeReal,
              "Largest global gradient norm; 0: no clipping");
}

void describe(Fields& fields, ScheduleOptions& options) {
  fields.choice("kind", options.kind, kScheduleNames, "How the learning rate moves after warm-up");
  fields.real("warmup", options.warmup, kNonNegativeReal,
              "Steps of linear warm-up, or below 1 a part of the run; the first step has lr / warmup");
  fields.real("decay", options.decay, kNonNegativeReal,
              "Last steps, in which wsd decays, or below 1 a part of the run");
  fields.choice("decay_shape", options.decay_shape, kDecayShapeNames, "Curve of that decay");
  fields.real("final_ratio", options.final_ratio, kFraction, "Learning rate at the end, as part of lr");
  fields.reals("milestones", options.milestones, 2, kFraction,
               "multi_step: parts of the run after which lr is divided by sqrt(10), each time");
}

}  // namespace troupe::optimizer
