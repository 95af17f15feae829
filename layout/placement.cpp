#include "layout/placement.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/index.h"

namespace troupe::layout {

LayerPlacement::LayerPlacement(int positions, std::vector<int> position_of)
    : position_of_(std::move(position_of)), order_(position_of_.size()) {
  TROUPE_CHECK(positions >= 1, "a group of {} positions", positions);
  std::vector<int> held(at(positions));
  for (int expert = 0; expert < experts(); ++expert) {
    const int place = position(expert);
    if (place < 0 || place >= positions) {
      throw Error(ErrorCode::kConfig,
                  "placement: expert {} at position {}, a group has the positions 0 to {}", expert, place,
                  positions - 1);
    }
    ++held[at(place)];
  }
  begin_.push_back(0);
  std::inclusive_scan(held.begin(), held.end(), std::back_inserter(begin_));
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::stable_sort(order_, {}, [&](int expert) { return position(expert); });
}

LayerPlacement LayerPlacement::ranges(const std::vector<int>& begin) {
  TROUPE_CHECK(begin.size() >= 2 && begin.front() == 0 && std::ranges::is_sorted(begin),
               "ranges of experts that do not ascend from 0");
  std::vector<int> position_of;
  for (std::size_t position = 0; position + 1 < begin.size(); ++position) {
    position_of.resize(at(begin[position + 1]), static_cast<int>(position));
  }
  return {static_cast<int>(begin.size()) - 1, std::move(position_of)};
}

LayerPlacement LayerPlacement::contiguous(int experts, int positions) {
  std::vector<int> begin{0};
  for (int position = 0; position < positions; ++position) {
    begin.push_back(begin.back() + experts / positions + (position < experts % positions ? 1 : 0));
  }
  return ranges(begin);
}

std::span<const int> LayerPlacement::experts_at(int position) const {
  const std::size_t index = at(position);
  return part(std::span(order_), begin_[index], begin_[index + 1] - begin_[index]);
}

}  // namespace troupe::layout
