#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe::workers::exact_sum {

/// Sums of doubles that are exact, whatever the order: integers that can themselves be added, by one worker
/// after another and between workers, and are rounded once, when they are read. A sum is a number in base
/// 2^32 whose digits may be out of range (a "long accumulator": Kulisch, "Computer Arithmetic and Validity",
/// 2nd edition, chapter 8), from 2^-1074, the smallest double, to beyond the largest, and one count of what
/// was no finite number.

inline constexpr std::size_t kDigits = 67;  // the largest double's last bit is 2^1023: digit 65; and carries
inline constexpr std::size_t kWords = kDigits + 1;

/// Adds to the sum in `words`: [kWords], all zero for an empty one. At most 2^30 values altogether.
void add(double value, std::span<std::int64_t> words);

/// The sum, rounded to the nearest double; NaN when one of the values was not finite. words: [kWords]
[[nodiscard]] double value_of(std::span<const std::int64_t> words);

}  // namespace troupe::workers::exact_sum
