#include "coordinator/recovery/stall_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::coordinator {
namespace {

constexpr int kMedianSteps = 8;    // a step may take so many times the median
constexpr int kOutsideSteps = 10;  // times the shortest limit, for what is one long wait: loading, saving
constexpr std::size_t kRemembered = 64;

/// Many small parts, each of which is a move.
bool is_made_of_parts(const std::string& activity) {
  return activity == "training" || activity == "evaluating" || activity == "sampling";
}

}  // namespace

void StallWatch::begin(TimePoint now) { last_move_ = now; }

void StallWatch::moved(TimePoint now) {
  if (last_move_) last_move_ = now;
}

void StallWatch::forgive(TimePoint now) {
  moved(now);
  last_step_.reset();
}

void StallWatch::heard(const comm::WorkerActive& activity, TimePoint now) {
  for (const comm::RankPlace& place : activity.places) {
    Seen present{place.moves, activity.activity};
    Seen& seen = ranks_[place.rank];
    if (seen != present) moved(now);
    seen = std::move(present);
  }
}

void StallWatch::step_finished(TimePoint now) {
  moved(now);
  if (last_step_) steps_.push_back(now - *last_step_);
  if (steps_.size() > kRemembered) steps_.pop_front();
  last_step_ = now;
}

Duration StallWatch::median_step() const {
  if (steps_.empty()) return {};
  std::vector<Duration> sorted(steps_.begin(), steps_.end());
  const auto middle = sorted.begin() + std::ssize(sorted) / 2;
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

Duration StallWatch::limit() const {
  const bool in_step = !steps_.empty() && std::ranges::all_of(ranks_, [](const auto& rank) {
    return is_made_of_parts(rank.second.activity);
  });
  return std::max(kMedianSteps * median_step(), in_step ? shortest_ : kOutsideSteps * shortest_);
}

std::optional<Duration> StallWatch::stalled(TimePoint now) const {
  if (shortest_ == Duration::zero() || !last_move_ || now - *last_move_ <= limit()) return std::nullopt;
  return now - *last_move_;
}

}  // namespace troupe::coordinator
