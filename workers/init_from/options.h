#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/fields.h"

namespace troupe::workers {

enum class SliceScale { kExact, kSpread };
inline constexpr std::array<std::string_view, 2> kSliceScaleNames{"exact", "spread"};

/// `init_from`: a new run whose weights come from another run's checkpoint.
struct InitFromOptions {
  std::optional<std::string> checkpoint;  // its folder; null: initial values
  bool branch = false;                    // all of its state, not the weights alone
  double noise = 0.0;                     // on the weights of duplicated experts, in initial deviations
  SliceScale slice_scale = SliceScale::kExact;
};

void describe(Fields& fields, InitFromOptions& options);

}  // namespace troupe::workers
