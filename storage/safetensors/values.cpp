#include "storage/safetensors/values.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/index.h"
#include "storage/element_type.h"

namespace troupe::storage::safetensors {
namespace {

constexpr std::array<std::pair<std::string_view, std::int64_t>, 15> kKnownTypes{{{"F64", 64},
                                                                                 {"F32", 32},
                                                                                 {"F16", 16},
                                                                                 {"BF16", 16},
                                                                                 {"I64", 64},
                                                                                 {"I32", 32},
                                                                                 {"I16", 16},
                                                                                 {"I8", 8},
                                                                                 {"U64", 64},
                                                                                 {"U32", 32},
                                                                                 {"U16", 16},
                                                                                 {"U8", 8},
                                                                                 {"BOOL", 8},
                                                                                 {"F8_E4M3", 8},
                                                                                 {"F8_E5M2", 8}}};

template <class Bits>
Bits bits_at(const std::byte* values, std::int64_t index) {
  Bits bits;
  std::memcpy(&bits, values + index * static_cast<std::int64_t>(sizeof(Bits)), sizeof(Bits));
  return bits;
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16U); }

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000U} << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13U));
  if (exponent == 0) {  // subnormal: fraction · 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign == 0 ? magnitude : -magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (fraction << 13U));
}

std::uint16_t to_f16(float value) {
  const auto sign = static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) >> 16U) & 0x8000U);
  const float magnitude = std::abs(value);
  if (std::isnan(value)) return sign | 0x7E00U;
  if (magnitude >= 65520.0F) return sign | 0x7C00U;  // rounds beyond the largest, 65504
  if (magnitude < 0x1p-14F) {                        // subnormal; 1024 of them are the least normal one
    return sign | static_cast<std::uint16_t>(std::nearbyint(static_cast<double>(magnitude) * 0x1p24));
  }
  std::uint32_t bits = std::bit_cast<std::uint32_t>(magnitude) - (112U << 23U);
  bits += 0xFFFU + ((bits >> 13U) & 1U);
  return sign | static_cast<std::uint16_t>(bits >> 13U);
}

}  // namespace

std::string_view to_string(ValueType type) {
  switch (type) {
    case ValueType::kF32:
      return "F32";
    case ValueType::kF16:
      return "F16";
    case ValueType::kBf16:
      return "BF16";
    case ValueType::kOther:
      break;
  }
  return "other";
}

std::int64_t size_bytes(ValueType type) {
  TROUPE_CHECK(type != ValueType::kOther, "values of a type that is not read");
  return type == ValueType::kF32 ? 4 : 2;
}

std::optional<std::int64_t> bits_of(std::string_view name) {
  for (const auto& [known, bits] : kKnownTypes) {
    if (known == name) return bits;
  }
  return std::nullopt;
}

ValueType value_type(std::string_view name) {
  for (const ValueType type : {ValueType::kF32, ValueType::kF16, ValueType::kBf16}) {
    if (to_string(type) == name) return type;
  }
  return ValueType::kOther;
}

void to_floats(ValueType type, const std::byte* values, std::int64_t stride, std::span<float> floats) {
  const auto fill = [&](const auto& value_at) {
    for (std::size_t i = 0; i < floats.size(); ++i)
      floats[i] = value_at(static_cast<std::int64_t>(i) * stride);
  };
  switch (type) {
    case ValueType::kF32:
      return fill([&](std::int64_t i) { return bits_at<float>(values, i); });
    case ValueType::kF16:
      return fill([&](std::int64_t i) { return from_f16(bits_at<std::uint16_t>(values, i)); });
    case ValueType::kBf16:
      return fill([&](std::int64_t i) { return from_bf16(bits_at<std::uint16_t>(values, i)); });
    case ValueType::kOther:
      break;
  }
  TROUPE_CHECK(false, "values of a type that is not read");
}

void from_floats(ValueType type, std::span<const float> floats, std::span<std::byte> bytes) {
  TROUPE_CHECK(std::ssize(bytes) == std::ssize(floats) * size_bytes(type), "{} bytes for {} values of {}",
               bytes.size(), floats.size(), to_string(type));
  if (type == ValueType::kF32) {
    if (!floats.empty()) std::memcpy(bytes.data(), floats.data(), bytes.size());
    return;
  }
  for (std::size_t i = 0; i < floats.size(); ++i) {
    const std::uint16_t bits = type == ValueType::kBf16 ? to_bf16(floats[i]) : to_f16(floats[i]);
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
}

}  // namespace troupe::storage::safetensors
