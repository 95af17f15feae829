#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

/// "1 worker", "2 workers": for people. thing: a word whose plural has an s.
[[nodiscard]] inline std::string counted(std::int64_t number, std::string_view thing) {
  return fmt::format("{} {}{}", number, thing, number == 1 ? "" : "s");
}

}  // namespace troupe
