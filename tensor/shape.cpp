#include "tensor/shape.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"

namespace troupe {

Shape::Shape(std::initializer_list<std::int64_t> sizes)
    : Shape(std::span<const std::int64_t>(sizes.begin(), sizes.size())) {}

Shape::Shape(std::span<const std::int64_t> sizes) : rank_(static_cast<int>(sizes.size())) {
  TROUPE_CHECK(sizes.size() <= kMaxRank, "a shape has at most {} dimensions, not {}", kMaxRank, sizes.size());
  TROUPE_CHECK(std::ranges::all_of(sizes, [](std::int64_t size) { return size >= 0; }),
               "negative size in a shape");
  std::ranges::copy(sizes, sizes_.begin());
}

std::int64_t Shape::elements() const {
  const auto all = sizes();
  return std::accumulate(all.begin(), all.end(), std::int64_t{1}, std::multiplies<>{});
}

std::string Shape::to_string() const { return fmt::format("[{}]", fmt::join(sizes(), ", ")); }

}  // namespace troupe
