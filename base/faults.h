#pragma once
#include <array>
#include <csignal>

/// What a process says when it breaks: the instruction that it stands at cannot be gone on from.
namespace troupe::faults {

/// Raised by what a thread does itself, hence never blocked.
inline constexpr std::array kSignals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

/// Says "troupe: segmentation fault at address 0x…" on stderr before a fault ends the process as it would
/// anyway, core dump included; unless a sanitizer reports it already. The report uses a stack of its own on
/// this thread, and nothing that could wait for a lock on any.
void report_on_this_thread();

}  // namespace troupe::faults
