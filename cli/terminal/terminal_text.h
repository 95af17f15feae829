#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// How numbers and text are written for people. Pure.
namespace troupe::cli {

/// "950", "12.3k", "4.56M": three significant digits.
[[nodiscard]] std::string count_text(double count);
/// "12.3 MB", powers of 1000.
[[nodiscard]] std::string bytes_text(std::int64_t bytes);
/// "48 s", "5 min 32 s", "2 h 05 min", "3 d 04 h".
[[nodiscard]] std::string duration_text(double seconds);

/// Text that may hold anything, made harmless for a terminal: control characters except line breaks and
/// tabs become '?', so that no escape sequence gets through.
[[nodiscard]] std::string printable(std::string_view text);
/// At most `columns` characters of UTF-8 text on one line, none cut in half.
[[nodiscard]] std::string clipped(std::string_view text, std::size_t columns);
/// Every line begins with `margin`.
[[nodiscard]] std::string indented(std::string_view text, std::string_view margin);

/// The numbers of the status line.
struct StatusNumbers {
  std::int64_t step = 0;
  std::int64_t last_step = 0;
  std::optional<double> loss;
  std::optional<double> margin;    // of pairs of answers, as the next
  std::optional<double> accuracy;  // fraction
  std::optional<double> tokens_per_second;
  std::optional<double> mfu;            // fraction
  std::optional<double> max_violation;  // of the worst layer, over its window
  std::optional<double> seconds_left;
};

/// "step 120/240  loss 5.0312  24.1k tokens/s  MFU 41 %  MaxVio 0.31  2 min 10 s left"; what is not known is
/// left out.
[[nodiscard]] std::string status_text(const StatusNumbers& numbers);

}  // namespace troupe::cli
