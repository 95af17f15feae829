#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include "actors/address.h"
#include "base/clock.h"
#include "base/error.h"

namespace troupe::actors {

namespace detail {
class ActorBase;
class Cell;
using ActorFactory = std::function<std::unique_ptr<ActorBase>()>;
}  // namespace detail

/// How much an actor may hold, and what happens when a handler throws: the actor is made anew by its
/// factory and goes on with the next message, at most `max_restarts` times within `restart_window`; one
/// failure more ends it and fails its parent, in the end the runtime.
struct SpawnOptions {
  std::size_t mailbox_capacity = 1024;  // messages; timers and replies do not count
  int max_restarts = 0;
  Duration restart_window = std::chrono::seconds(60);
};

/// Runs actors. Write an actor once; it runs on every runtime.
class Runtime {
 public:
  Runtime() = default;
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  virtual ~Runtime();

  /// The time that actors see.
  [[nodiscard]] virtual const Clock& clock() const = 0;

  /// Starts an actor at the root. factory: () -> std::unique_ptr<SomeActor>; copyable, called again at each
  /// restart, always on the actor's strand.
  template <class Factory>
  auto spawn(std::string name, Factory factory, SpawnOptions options = {}) {
    using SomeActor = typename std::invoke_result_t<Factory&>::element_type;
    return detail::AddressAccess::make<typename SomeActor::Api>(
        spawn_cell(std::move(name), std::move(factory), options, nullptr));
  }

  /// Ends an actor and its children: no message after the current one is handled. Thread-safe.
  template <class Api>
  void stop(const Address<Api>& address) {
    stop_cell(detail::AddressAccess::recipient(address));
  }

 protected:
  /// Derived destructors call this once nothing runs any more: ends all actors, youngest first.
  void end_all_actors();

 private:
  friend class detail::Cell;
  friend class detail::ActorBase;

  using TimerId = std::uint64_t;

  /// Calls cell->run() soon, on some thread of the runtime.
  virtual void schedule(std::shared_ptr<detail::Cell> cell) = 0;
  /// Calls `fire` at `when`, on some thread of the runtime.
  virtual TimerId start_timer(TimePoint when, std::function<void()> fire) = 0;
  virtual void cancel_timer(TimerId timer) = 0;
  /// A failure that nobody supervises.
  virtual void fail(const Error& error) = 0;

  std::shared_ptr<detail::Recipient> spawn_cell(std::string name, detail::ActorFactory factory,
                                                const SpawnOptions& options, detail::Cell* parent);
  void stop_cell(const std::shared_ptr<detail::Recipient>& recipient);
  void forget(const detail::Cell& cell);

  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<detail::Cell>> cells_;  // by number: in order of their start
  std::uint64_t last_number_ = 0;
};

}  // namespace troupe::actors
