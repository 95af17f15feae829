#pragma once
#include <functional>
#include <vector>

#include "base/error.h"

namespace CLI {
class App;
}

namespace troupe::cli {

// Exit codes.
inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;      // something went wrong on the way
inline constexpr int kUsage = 2;        // the command line or the configuration is wrong
inline constexpr int kStartAgain = 75;  // state saved; the same command goes on (EX_TEMPFAIL)

[[nodiscard]] inline int exit_code_of(const Error& error) {
  return error.code() == ErrorCode::kConfig ? kUsage : kFailure;
}

/// What the chosen subcommand does; returns the program's exit code.
using Action = std::function<int()>;

/// Adds a subcommand to the program, and sets `action` when it is chosen. One file each.
using AddSubcommand = void (*)(CLI::App& program, Action& action);

/// All of them, in the order of `troupe --help`.
[[nodiscard]] const std::vector<AddSubcommand>& subcommands();

}  // namespace troupe::cli
