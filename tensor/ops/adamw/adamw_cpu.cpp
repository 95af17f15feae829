#include "tensor/ops/adamw/adamw.h"
#include "tensor/ops/adamw/adamw_ref.h"

namespace troupe::ops {

void adamw(const Execution&, const AdamWStep& step, std::span<float> value, std::span<const float> gradient,
           std::span<float> first_moment, std::span<float> second_moment) {
  TROUPE_CHECK(gradient.size() == value.size() && first_moment.size() == value.size() &&
                   second_moment.size() == value.size(),
               "adamw: {} values, {} gradients, {} and {} moments", value.size(), gradient.size(),
               first_moment.size(), second_moment.size());
  reference::adamw<float>(step, value, gradient, first_moment, second_moment);
}

}  // namespace troupe::ops
