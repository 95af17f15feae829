#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/fields.h"

namespace troupe::optimizer {

/// `optimizer`: AdamW.
struct OptimizerOptions {
  double lr = 1e-3;
  std::vector<double> betas{0.9, 0.95};
  double eps = 1e-8;
  double weight_decay = 0.1;  // decoupled; none on embeddings and norms
  double grad_clip = 1.0;     // global L2 norm; 0 = off
};

enum class ScheduleKind { kConstant, kCosine, kWsd, kMultiStep };
inline constexpr std::array<std::string_view, 4> kScheduleNames{"constant", "cosine", "wsd", "multi_step"};
enum class DecayShape { kLinear, kCosine, kSqrt };
inline constexpr std::array<std::string_view, 3> kDecayShapeNames{"linear", "cosine", "sqrt"};

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kWsd;
  double warmup = 0.05;  // a length: see below; step 1 uses lr / steps of it
  double decay = 0.2;    // a length: the last steps of wsd
  DecayShape decay_shape = DecayShape::kLinear;
  double final_ratio = 0.0;                  // of lr at the end
  std::vector<double> milestones{0.8, 0.9};  // of multi_step: parts of the run after which lr falls
};

/// Steps that a length of ScheduleOptions means in a run of `steps`: from 1 on itself, below 1 that part of
/// the run, rounded down. Pure.
[[nodiscard]] std::int64_t length_in_steps(double length, std::int64_t steps);

void describe(Fields& fields, OptimizerOptions& options);
void describe(Fields& fields, ScheduleOptions& options);

}  // namespace troupe::optimizer
