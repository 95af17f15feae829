#include "cli/run/launcher_hold.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/log.h"

namespace troupe::cli {
namespace {

constexpr std::array kLaunchers{"orterun", "orted", "mpirun", "mpiexec"};

/// Empty for a process of someone else.
std::string program_of(pid_t process) {
  std::error_code unreadable;
  return std::filesystem::read_symlink("/proc/" + std::to_string(process) + "/exe", unreadable)
      .filename()
      .string();
}

pid_t parent_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string word; status >> word;) {
    if (pid_t parent = 0; word == "PPid:" && status >> parent) return parent;
  }
  return 0;
}

pid_t find_launcher() {
  for (pid_t process = ::getppid(); process > 1; process = parent_of(process)) {
    if (std::ranges::find(kLaunchers, program_of(process)) != kLaunchers.end()) return process;
  }
  return 0;
}

/// The helper: only async-signal-safe calls, since other threads were holding locks at the fork. It keeps no
/// file of the rank open but the pipe, and leaves its group, which mpirun signals.
[[noreturn]] void let_go_on_after(int life, pid_t launcher) {
  ::setsid();
  ::dup2(life, STDIN_FILENO);
  ::close_range(STDOUT_FILENO, ~0U, 0);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR) {
  }
  ::kill(launcher, SIGCONT);
  ::_exit(0);
}

}  // namespace

LauncherHold::LauncherHold()
    : launcher_(find_launcher()), listener_(std::array{SIGTERM}, [this](int /*signal*/) { hold(); }) {}

LauncherHold::~LauncherHold() { release(); }

void LauncherHold::hold() {
  const std::lock_guard lock(mutex_);
  if (launcher_ == 0 || life_.valid() || ::kill(launcher_, SIGSTOP) != 0) return;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    ::kill(launcher_, SIGCONT);
    log::warn("mpirun cannot be made to wait: {}", std::strerror(errno));
    return;
  }
  const FileDescriptor read_end(ends[0]);
  life_ = FileDescriptor(ends[1]);
  const pid_t helper = ::fork();
  if (helper == 0) let_go_on_after(read_end.get(), launcher_);
  if (helper < 0) {
    life_.close();
    ::kill(launcher_, SIGCONT);
  }
}

void LauncherHold::release() {
  const std::lock_guard lock(mutex_);
  launcher_ = 0;
  if (life_.valid()) life_.close();
}

}  // namespace troupe::cli
