#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "actors/runtime.h"

namespace troupe::actors {

/// Runs actors on a pool of threads, in real time. Any thread may spawn and send.
class AsioRuntime final : public Runtime {
 public:
  using FailureHandler = std::function<void(const Error&)>;

  /// on_failure is told, on a thread of the pool, of the first failure that no actor supervises; for
  /// processes whose main thread is busy with something other than wait().
  explicit AsioRuntime(int threads, FailureHandler on_failure = {});
  /// Waits for running handlers, then destroys all actors, youngest first. Not from a handler.
  ~AsioRuntime() override;

  [[nodiscard]] const Clock& clock() const override { return clock_; }

  /// Waits until stop() or a failure that no actor supervises; throws that failure, which names the actor.
  void wait();
  /// Runs nothing more after the handlers that are running now. Thread-safe.
  void stop();

 private:
  struct Pool;

  void schedule(std::shared_ptr<detail::Cell> cell) override;
  std::uint64_t start_timer(TimePoint when, std::function<void()> fire) override;
  void cancel_timer(std::uint64_t timer) override;
  void fail(const Error& error) override;

  SystemClock clock_;
  FailureHandler on_failure_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace troupe::actors
