#include "data/trained_spans.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"

namespace troupe::data {

TrainedSpans::TrainedSpans(std::vector<std::int64_t> borders) : all_(false), borders_(std::move(borders)) {
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i + 1 < borders_.size(); i += 2) {
    span_begins_.push_back(tokens);
    tokens += borders_[i + 1] - borders_[i];
  }
}

bool TrainedSpans::contains(std::int64_t token) const {
  if (all_) return true;
  const auto passed = std::ranges::upper_bound(borders_, token) - borders_.begin();
  return passed % 2 == 1;
}

std::int64_t TrainedSpans::before(std::int64_t token) const {
  const auto passed = std::ranges::lower_bound(borders_, token) - borders_.begin();
  if (passed == 0) return 0;
  const auto span = at((passed - 1) / 2);  // the last that begins before the token
  return span_begins_[span] + std::min(token, borders_[2 * span + 1]) - borders_[2 * span];
}

std::int64_t TrainedSpans::count(std::int64_t first, std::int64_t count) const {
  return all_ ? count : before(first + count) - before(first);
}

bool check_spans(std::span<const std::int64_t> borders, std::int64_t tokens) {
  const bool ascending = std::ranges::adjacent_find(borders, std::ranges::greater_equal()) == borders.end();
  return borders.size() % 2 == 0 && ascending &&
         (borders.empty() || (borders.front() >= 0 && borders.back() <= tokens));
}

void append_span(std::int64_t begin, std::int64_t end, std::vector<std::int64_t>& borders) {
  TROUPE_CHECK(begin < end && (borders.empty() || borders.back() <= begin), "span [{}, {}) is out of order",
               begin, end);
  if (!borders.empty() && borders.back() == begin) {
    borders.back() = end;
    return;
  }
  borders.push_back(begin);
  borders.push_back(end);
}

}  // namespace troupe::data
