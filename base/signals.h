#pragma once
#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// The one home of signals. oneDNN's generated kernels move the stack pointer into a heap block; a handler
/// that runs there writes its frame, kilobytes of vector state, over the heap. So no thread that computes may
/// ever run one: asynchronous signals are blocked in every thread, and one thread that does nothing else
/// waits for them. A callback therefore runs on an ordinary thread, and may lock, allocate and log.
namespace troupe::signals {

/// Ask a run to save and stop: people, terminals that close, and batch systems that announce a limit.
inline constexpr std::array kStopSignals{SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTERM, SIGXCPU};

/// The first thing in main, before any library makes a thread: blocks what is asynchronous in this thread,
/// which every later thread inherits, and starts the thread that waits. Until someone listens, a signal does
/// what it does to any process. SIGPIPE is ignored: a closed pipe is an error of the write. Faults of this
/// process itself (SIGSEGV, …) cannot wait: they say what happened, on a stack of their own, and end the
/// process. A SIGHUP that the parent ignores (nohup) stays ignored. Later calls do nothing.
void take_over();

/// From now on, stop signals have no effect on this process when nobody listens: it is about to end by
/// itself, with an exit code that counts.
void outlast_stop_signals();

/// What a program that this one starts begins with: nothing blocked but `blocked`, nothing ignored. Between
/// fork and exec; async-signal-safe.
void restore_for_child(std::span<const int> blocked = {});
/// The same for posix_spawn: nothing is blocked, and these are set to their defaults.
[[nodiscard]] sigset_t no_signals();
[[nodiscard]] sigset_t ignored_by_take_over();

/// "SIGTERM"
[[nodiscard]] std::string name_of(int signal);

/// While it lives, these signals go to the callback instead of having their effect: on the waiting thread,
/// one at a time. Several listeners are called in the order in which they were made.
class Listener {
 public:
  using Callback = std::function<void(int signal)>;
  Listener(std::span<const int> signals, Callback callback);
  ~Listener();  // the callback is not running any more
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] bool hears(int signal) const;
  void tell(int signal) const { callback_(signal); }

 private:
  std::vector<int> signals_;
  Callback callback_;
};

/// Signals as values that one thread waits for and others may wake it from. Several of one kind that arrive
/// while nobody waits may become one.
class Queue {
 public:
  explicit Queue(std::span<const int> signals);

  /// The next signal, oldest first; nothing after `timeout` or a wake().
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds timeout);
  /// Makes wait() return, the next one if nobody waits now; from any thread.
  void wake();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int> signals_;
  bool woken_ = false;
  Listener listener_;  // last: its callback uses the others
};

}  // namespace troupe::signals
