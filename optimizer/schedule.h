#pragma once
#include <cstdint>

#include "optimizer/options.h"

namespace troupe::optimizer {

/// Factor on the learning rate at a step (1 = the first update) of `steps`: linear warm-up, then the
/// schedule. Pure.
///   constant: 1
///   cosine: half a cosine from the end of warm-up down to final_ratio (arXiv 1608.03983)
///   wsd: 1, then over the last `decay` steps down to final_ratio by decay_shape (arXiv 2404.06395)
/// final_ratio is reached one step after the last: with final_ratio 0 every step still learns.
///   multi_step: 1 until the first milestone, √0.1 until the second, then 0.1 (arXiv 2401.02954: 80 and 90 %
///   of the run)
[[nodiscard]] double learning_rate_factor(const ScheduleOptions& options, std::int64_t step,
                                          std::int64_t steps);

}  // namespace troupe::optimizer
