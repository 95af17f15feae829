#pragma once
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::comm::detail {

/// Appends an integer, lowest byte first.
template <std::unsigned_integral Integer>
void put(std::string& bytes, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) bytes += static_cast<char>(value >> (8 * i));
}

/// The integer at `offset`; the caller checked that it is there.
template <std::unsigned_integral Integer>
[[nodiscard]] Integer get(std::string_view bytes, std::size_t offset) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value |=
        static_cast<Integer>(static_cast<Integer>(static_cast<unsigned char>(bytes[offset + i])) << (8 * i));
  }
  return value;
}

}  // namespace troupe::comm::detail
