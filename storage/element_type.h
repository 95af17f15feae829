#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::storage {

// Bytes in memory are hashed and written as they are, and files are little-endian.
static_assert(std::endian::native == std::endian::little, "storage assumes a little-endian machine");

/// What a dataset's elements are; little-endian in files.
enum class ElementType : std::uint8_t { kF32, kF64, kI32, kI64, kU16 };

[[nodiscard]] std::int64_t size_bytes(ElementType type);
/// "f32", "f64", "i32", "i64", "u16"
[[nodiscard]] std::string_view to_string(ElementType type);
[[nodiscard]] std::optional<ElementType> parse_element_type(std::string_view name);

/// The C++ types that datasets are read into and written from.
template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int32_t> ||
    std::same_as<T, std::int64_t> || std::same_as<T, std::uint16_t>;

template <Element T>
[[nodiscard]] constexpr ElementType element_type_of() {
  if constexpr (std::same_as<T, float>) return ElementType::kF32;
  if constexpr (std::same_as<T, double>) return ElementType::kF64;
  if constexpr (std::same_as<T, std::int32_t>) return ElementType::kI32;
  if constexpr (std::same_as<T, std::int64_t>) return ElementType::kI64;
  if constexpr (std::same_as<T, std::uint16_t>) return ElementType::kU16;
}

}  // namespace troupe::storage
