#include "coordinator/job/signal_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

constexpr std::array<int, 4> kSignals{SIGINT, SIGTERM, SIGUSR1, SIGCHLD};

// A handler cannot have state of its own; this is the write end of the pipe of the one SignalWatch.
std::atomic<int> write_end{-1};
std::array<struct sigaction, kSignals.size()> former_actions;

/// Async-signal-safe. A full pipe already wakes the reader, so a lost byte loses at most a repetition.
void put(unsigned char byte) {
  const int saved = errno;
  const int fd = write_end.load();
  if (fd >= 0) [[maybe_unused]]
    const ssize_t written = ::write(fd, &byte, 1);
  errno = saved;
}

void handle(int signal) { put(static_cast<unsigned char>(signal)); }

}  // namespace

SignalWatch::SignalWatch() {
  TROUPE_CHECK(write_end.load() < 0, "there is a SignalWatch already");
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw io_error("cannot make a pipe for signals");
  read_end_ = FileDescriptor(ends[0]);
  write_end.store(ends[1]);
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (::sigaction(kSignals[i], &action, &former_actions[i]) != 0) throw io_error("cannot handle signals");
  }
}

SignalWatch::~SignalWatch() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &former_actions[i], nullptr);
  ::close(write_end.exchange(-1));
}

std::optional<int> SignalWatch::wait(std::chrono::milliseconds timeout) {
  pollfd readable{read_end_.get(), POLLIN, 0};
  const int ready = ::poll(&readable, 1, static_cast<int>(timeout.count()));
  if (ready < 0 && errno != EINTR) throw io_error("cannot wait for signals");
  unsigned char byte = 0;
  if (::read(read_end_.get(), &byte, 1) != 1 || byte == 0) return std::nullopt;
  return byte;
}

void SignalWatch::wake() { put(0); }

}  // namespace troupe::coordinator
