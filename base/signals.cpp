#include "base/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/faults.h"

namespace troupe::signals {
namespace {

// Without a handler these stop, continue or do nothing, so they need not wait: Ctrl-Z works as ever.
constexpr std::array kHarmless{SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGURG, SIGWINCH};

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// Everything that a thread must not be interrupted by.
sigset_t asynchronous_signals() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int signal : faults::kSignals) ::sigdelset(&set, signal);
  for (const int signal : kHarmless) ::sigdelset(&set, signal);
  ::sigdelset(&set, SIGPIPE);
  // A blocked signal arrives although it is ignored. SIGINT is taken all the same: shells let it be ignored
  // by whatever runs behind `&`, and who sends it to a process means it.
  if (is_ignored(SIGHUP)) ::sigdelset(&set, SIGHUP);
  return set;
}

/// What the waiting thread knows. It lives as long as that thread: until the process is gone.
struct Reception {
  std::mutex mutex;
  std::vector<const Listener*> listeners;
  bool outlasts_stop_signals = false;
};

Reception& reception() {
  static auto* const kept = new Reception;
  return *kept;
}

/// On this thread alone, which computes nothing.
void take_effect(int signal) {
  if (signal == SIGCHLD) return;
  ::signal(signal, SIG_DFL);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::kill(::getpid(), signal);
}

void receive(int signal) {
  Reception& mine = reception();
  const std::lock_guard lock(mine.mutex);
  bool heard = false;
  for (const Listener* listener : mine.listeners) {
    if (!listener->hears(signal)) continue;
    listener->tell(signal);
    heard = true;
  }
  const bool is_outlasted =
      mine.outlasts_stop_signals && std::ranges::find(kStopSignals, signal) != kStopSignals.end();
  if (!heard && !is_outlasted) take_effect(signal);
}

void wait_for_ever(const sigset_t& set) {
  ::pthread_setname_np(::pthread_self(), "signals");
  for (;;) {
    int signal = 0;
    if (::sigwait(&set, &signal) == 0) receive(signal);
  }
}

void start() {
  const sigset_t set = asynchronous_signals();
  if (const int failure = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); failure != 0) {
    errno = failure;
    throw io_error("cannot block signals");
  }
  ::signal(SIGPIPE, SIG_IGN);
  faults::report_on_this_thread();
  static_cast<void>(reception());
  std::thread([set] { wait_for_ever(set); }).detach();
}

}  // namespace

void take_over() {
  static std::once_flag once;
  std::call_once(once, start);
}

void outlast_stop_signals() {
  const std::lock_guard lock(reception().mutex);
  reception().outlasts_stop_signals = true;
}

void restore_for_child(std::span<const int> blocked) {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : blocked) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
}

sigset_t no_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  return set;
}

sigset_t ignored_by_take_over() {
  sigset_t set = no_signals();
  ::sigaddset(&set, SIGPIPE);
  return set;
}

std::string name_of(int signal) {
  const char* const name = ::sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : fmt::format("signal {}", signal);
}

Listener::Listener(std::span<const int> signals, Callback callback)
    : signals_(signals.begin(), signals.end()), callback_(std::move(callback)) {
  take_over();
  const std::lock_guard lock(reception().mutex);
  reception().listeners.push_back(this);
}

Listener::~Listener() {
  const std::lock_guard lock(reception().mutex);
  std::erase(reception().listeners, this);
}

bool Listener::hears(int signal) const { return std::ranges::find(signals_, signal) != signals_.end(); }

Queue::Queue(std::span<const int> signals)
    : listener_(signals, [this](int signal) {
        const std::lock_guard lock(mutex_);
        signals_.push_back(signal);
        changed_.notify_all();
      }) {}

std::optional<int> Queue::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [this] { return woken_ || !signals_.empty(); });
  if (std::exchange(woken_, false) || signals_.empty()) return std::nullopt;
  const int signal = signals_.front();
  signals_.pop_front();
  return signal;
}

void Queue::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

}  // namespace troupe::signals
