#include "base/faults.h"

#include <unistd.h>

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace troupe::faults {
namespace {

constexpr std::size_t kStackBytes = 64 << 10;
alignas(64) std::array<std::byte, kStackBytes> stack;

std::string_view text_of(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "segmentation fault";
    case SIGBUS:
      return "bus error: a mapped file shrank, or /dev/shm is full";
    case SIGFPE:
      return "arithmetic fault";
    case SIGILL:
      return "this processor lacks an instruction";
    default:
      return "fault";
  }
}

void say(std::string_view text) {
  // Nobody to tell when even that fails.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void say_hexadecimal(std::uintptr_t value) {
  std::array<char, 2 * sizeof value> digits{};
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, value >>= 4)
    *digit = "0123456789abcdef"[value & 15U];
  say({digits.data(), digits.size()});
}

/// Async-signal-safe. The kernel has put the default back (SA_RESETHAND).
void report(int signal, siginfo_t* info, void* /*context*/) {
  say("troupe: ");
  say(text_of(signal));
  say(" at address 0x");
  say_hexadecimal(reinterpret_cast<std::uintptr_t>(info->si_addr));
  say("\n");
  ::raise(signal);
}

bool is_default(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

}  // namespace

void report_on_this_thread() {
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  if (::sigaltstack(&alternate, nullptr) != 0) throw io_error("cannot set up a stack for faults");
  struct sigaction action {};
  action.sa_sigaction = report;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    if (is_default(signal) && ::sigaction(signal, &action, nullptr) != 0)
      throw io_error("cannot handle faults");
  }
}

}  // namespace troupe::faults
