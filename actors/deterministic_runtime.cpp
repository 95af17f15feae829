#include "actors/deterministic_runtime.h"

#include <algorithm>
#include <utility>

#include "actors/cell.h"

namespace troupe::actors {

namespace {
// Events in one call at the same virtual time before it is called endless.
constexpr std::uint64_t kMaxEventsPerInstant = 10'000'000;
}  // namespace

DeterministicRuntime::DeterministicRuntime(std::uint64_t seed, Duration max_delay)
    : random_(seed, RandomPurpose::kTest), max_delay_(max_delay) {}

DeterministicRuntime::~DeterministicRuntime() { end_all_actors(); }

void DeterministicRuntime::run_until_idle() {
  while (runs_waiting_ > 0 || has_event_until(clock_.now())) run_next();
}

void DeterministicRuntime::run_for(Duration duration) {
  const TimePoint end = clock_.now() + duration;
  while (has_event_until(end)) run_next();
  clock_.set(end);
}

bool DeterministicRuntime::run_until(const std::function<bool()>& condition, Duration limit) {
  const TimePoint end = clock_.now() + limit;
  while (!condition()) {
    if (!has_event_until(end)) {
      clock_.set(end);
      return condition();
    }
    run_next();
  }
  return true;
}

std::uint64_t DeterministicRuntime::call_later(Duration delay, std::function<void()> action) {
  return start_timer(clock_.now() + delay, std::move(action));
}

std::uint64_t DeterministicRuntime::random_below(std::uint64_t bound) {
  return random_.below(random_index_++, bound);
}

void DeterministicRuntime::schedule(std::shared_ptr<detail::Cell> cell) {
  Duration delay{};
  if (max_delay_ > Duration::zero()) {
    delay = Duration(
        static_cast<Duration::rep>(random_below(static_cast<std::uint64_t>(max_delay_.count()) + 1)));
  }
  ++runs_waiting_;
  add(clock_.now() + delay, {std::move(cell), {}});
}

std::uint64_t DeterministicRuntime::start_timer(TimePoint when, std::function<void()> fire) {
  const std::uint64_t id = last_number_ + 1;
  timers_[id] = add(std::max(when, clock_.now()), {nullptr, [this, id, fire = std::move(fire)] {
                                                     timers_.erase(id);
                                                     fire();
                                                   }});
  return id;
}

void DeterministicRuntime::cancel_timer(std::uint64_t timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return;
  events_.erase(found->second);
  timers_.erase(found);
}

void DeterministicRuntime::fail(const Error& error) {
  if (!failure_) failure_ = error;
}

DeterministicRuntime::EventKey DeterministicRuntime::add(TimePoint when, Event event) {
  const EventKey key{when, random_.bits(random_index_++), ++last_number_};
  events_.emplace(key, std::move(event));
  return key;
}

void DeterministicRuntime::run_next() {
  auto node = events_.extract(events_.begin());
  events_at_this_time_ = node.key().time == clock_.now() ? events_at_this_time_ + 1 : 0;
  if (events_at_this_time_ > kMaxEventsPerInstant) {
    throw Error(ErrorCode::kTimeout, "actors keep each other busy: {} events at one instant of virtual time",
                events_at_this_time_);
  }
  clock_.set(node.key().time);
  if (const auto& cell = node.mapped().cell) {
    --runs_waiting_;
    cell->run(1);
  } else {
    node.mapped().fire();
  }
  if (failure_) throw Error(*std::exchange(failure_, std::nullopt));
}

bool DeterministicRuntime::has_event_until(TimePoint end) const {
  return !events_.empty() && events_.begin()->first.time <= end;
}

}  // namespace troupe::actors
