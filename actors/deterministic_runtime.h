#pragma once
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include "actors/runtime.h"
#include "base/random.h"

namespace troupe::actors {

/// Runs actors in the calling thread, in virtual time, in an order that only the seed decides: what
/// could happen at the same time on a pool of threads happens here in a random order. Time stands still
/// while there is something to do, then jumps to the next timer. For tests and simulations of thousands
/// of actors. Everything, sends included, comes from the one thread that runs it.
class DeterministicRuntime final : public Runtime {
 public:
  /// max_delay: each message may lie in its mailbox for a random virtual time up to this.
  explicit DeterministicRuntime(std::uint64_t seed, Duration max_delay = Duration::zero());
  ~DeterministicRuntime() override;

  [[nodiscard]] const Clock& clock() const override { return clock_; }

  /// Handles every message that is on its way, and timers as far as their time has come by then.
  /// All run_… functions throw a failure that no actor supervises; it names the actor. They throw
  /// kTimeout when actors keep each other busy at one instant of time without end.
  void run_until_idle();
  /// Lets `duration` of virtual time pass.
  void run_for(Duration duration);
  /// Lets time pass until `condition` holds, which is asked after every event; false if it does not
  /// within `limit`.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition, Duration limit);

  /// For simulations: calls `action` between two messages after `delay`, unless cancelled before.
  std::uint64_t call_later(Duration delay, std::function<void()> action);
  /// Does nothing for a call that was made already.
  void cancel_call(std::uint64_t call) { cancel_timer(call); }
  /// A number from this run's random sequence, in [0, bound); bound > 0.
  [[nodiscard]] std::uint64_t random_below(std::uint64_t bound);

 private:
  /// When something happens; `order` is random, so it decides between what is due at once.
  struct EventKey {
    TimePoint time;
    std::uint64_t order = 0;
    std::uint64_t number = 0;
    auto operator<=>(const EventKey&) const = default;
  };
  struct Event {
    std::shared_ptr<detail::Cell> cell;  // to run, or
    std::function<void()> fire;
  };

  void schedule(std::shared_ptr<detail::Cell> cell) override;
  std::uint64_t start_timer(TimePoint when, std::function<void()> fire) override;
  void cancel_timer(std::uint64_t timer) override;
  void fail(const Error& error) override;

  EventKey add(TimePoint when, Event event);
  void run_next();
  [[nodiscard]] bool has_event_until(TimePoint end) const;

  ManualClock clock_;
  Random random_;
  std::uint64_t random_index_ = 0;
  Duration max_delay_;
  std::map<EventKey, Event> events_;
  std::unordered_map<std::uint64_t, EventKey> timers_;
  std::uint64_t last_number_ = 0;
  std::uint64_t events_at_this_time_ = 0;
  std::int64_t runs_waiting_ = 0;  // events with a cell
  std::optional<Error> failure_;
};

}  // namespace troupe::actors
