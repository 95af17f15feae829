#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <type_traits>

namespace troupe {

/// Numbers of tokens, experts, rows are signed here, as their differences are; the standard library counts
/// with std::size_t. values[at(i)], std::vector<float> rows(at(count)), names[at(kind)]. Not negative.
template <class Number>
requires std::integral<Number> || std::is_enum_v<Number>
[[nodiscard]] constexpr std::size_t at(Number number) { return static_cast<std::size_t>(number); }

/// `count` elements from `begin` on, of a span or of what outlives the result.
template <std::ranges::contiguous_range Range>
[[nodiscard]] constexpr auto part(Range&& all, std::int64_t begin, std::int64_t count) {
  return std::span(all).subspan(at(begin), at(count));
}

}  // namespace troupe
