#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace troupe::storage::safetensors {

/// What a file's values are. Others than the three of floating point are only measured, never read.
enum class ValueType : std::uint8_t { kF32, kF16, kBf16, kOther };

/// "F32", "F16", "BF16"
[[nodiscard]] std::string_view to_string(ValueType type);
[[nodiscard]] std::int64_t size_bytes(ValueType type);  // not of kOther

/// Bits of a value of a type that the format knows by this name; none for other names.
[[nodiscard]] std::optional<std::int64_t> bits_of(std::string_view name);
/// kOther for names of what is not read.
[[nodiscard]] ValueType value_type(std::string_view name);

// Little-endian values, `stride` values apart; exact.
void to_floats(ValueType type, const std::byte* values, std::int64_t stride, std::span<float> floats);
/// Rounded to nearest, ties to even; what is too large for F16 becomes infinite. NaN stays NaN.
///   bytes: floats.size() * size_bytes(type)
void from_floats(ValueType type, std::span<const float> floats, std::span<std::byte> bytes);

}  // namespace troupe::storage::safetensors
