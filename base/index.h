#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace troupe {

/// Counts and positions are signed here; the standard library's are not. None is negative.
[[nodiscard]] constexpr std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

/// Of a table with a place for each enumerator.
template <class Enum>
requires std::is_enum_v<Enum>
[[nodiscard]] constexpr std::size_t at(Enum value) { return static_cast<std::size_t>(value); }

/// Elements [first, first + count).
template <class T>
[[nodiscard]] constexpr std::span<T> part(std::span<T> all, std::int64_t first, std::int64_t count) {
  return all.subspan(at(first), at(count));
}

}  // namespace troupe
