#pragma once
#include <chrono>

namespace troupe {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;

/// Time is injected, so that tests decide what time it is.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  /// Seconds since the Unix epoch, for people and files only; never for deadlines.
  [[nodiscard]] virtual double wall_seconds() const = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] double wall_seconds() const override;
};

/// A clock that stands still until it is moved.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] double wall_seconds() const override {
    return std::chrono::duration<double>(now_.time_since_epoch()).count();
  }
  void advance(Duration by) { now_ += by; }
  void set(TimePoint now) { now_ = now; }

 private:
  TimePoint now_{};
};

[[nodiscard]] inline double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace troupe
