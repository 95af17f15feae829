#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace troupe::data {

/// Which tokens of a file are predicted: all of them, or those of spans; the others are context only.
/// Counting takes no token, so that every worker knows how many targets a batch has without reading it.
/// Immutable.
class TrainedSpans {
 public:
  /// All tokens.
  TrainedSpans() = default;
  /// The tokens [borders[0], borders[1]), [borders[2], borders[3]), …: check_spans() holds.
  explicit TrainedSpans(std::vector<std::int64_t> borders);

  /// Whether tokens are told apart at all.
  [[nodiscard]] bool all() const { return all_; }
  [[nodiscard]] bool contains(std::int64_t token) const;
  /// Of the tokens [first, first + count).
  [[nodiscard]] std::int64_t count(std::int64_t first, std::int64_t count) const;
  [[nodiscard]] const std::vector<std::int64_t>& borders() const { return borders_; }
  bool operator==(const TrainedSpans&) const = default;

 private:
  [[nodiscard]] std::int64_t before(std::int64_t token) const;

  bool all_ = true;
  std::vector<std::int64_t> borders_;      // [2 * spans]
  std::vector<std::int64_t> span_begins_;  // [spans]: tokens of all spans before one
};

/// Whether borders are those of spans of `tokens` tokens: pairs, ascending, none empty, none touching the
/// next.
[[nodiscard]] bool check_spans(std::span<const std::int64_t> borders, std::int64_t tokens);

/// Appends the span [begin, end), begin < end, to those before it, and joins it to the last where they touch.
void append_span(std::int64_t begin, std::int64_t end, std::vector<std::int64_t>& borders);

}  // namespace troupe::data
