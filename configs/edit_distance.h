#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::configs {

/// Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string
/// alignment). Texts longer than 64 characters are far from everything.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that someone who wrote `name` probably meant; empty when none is near.
[[nodiscard]] std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace troupe::configs
