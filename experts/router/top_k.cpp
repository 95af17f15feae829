#include "experts/router/top_k.h"

#include <cmath>
#include <limits>

namespace troupe::experts {

void top_k(std::span<const float> values, std::span<std::int32_t> chosen, std::span<float> scratch) {
  const std::size_t k = chosen.size();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float value = std::isnan(values[i]) ? -std::numeric_limits<float>::infinity() : values[i];
    if (kept == k && !(value > scratch[k - 1])) continue;
    std::size_t place = kept < k ? kept++ : k - 1;
    for (; place > 0 && value > scratch[place - 1]; --place) {
      scratch[place] = scratch[place - 1];
      chosen[place] = chosen[place - 1];
    }
    scratch[place] = value;
    chosen[place] = static_cast<std::int32_t>(i);
  }
}

}  // namespace troupe::experts
