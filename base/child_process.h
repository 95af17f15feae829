#pragma once
#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"

namespace troupe {

/// A program to run, without a shell.
struct Command {
  std::vector<std::string> arguments;              // the first is the program, found by PATH
  std::map<std::string, std::string> environment;  // beside ours, and instead of it
  std::filesystem::path folder = {};               // to run in; empty: this process's
  int end_signal = SIGTERM;  // asks the child to end; it also gets it when this process dies before it
  std::vector<int> blocked_signals = {};  // of the child
  bool operator==(const Command&) const = default;
};

/// Forks and executes, in a new session, so that no terminal reaches it, stdin from /dev/null. The child gets
/// `end_signal` when the calling *thread* ends. Throws kIo naming the program when it cannot be executed.
[[nodiscard]] pid_t start_child(const Command& command, const FileDescriptor& output,
                                const FileDescriptor& errors);

/// Executes the command instead of this program, with this one's input and output. Throws kIo as above.
[[noreturn]] void execute(const Command& command);

struct ChildResult {
  int exit_code = 0;   // 128 + n when signal n ended it
  std::string output;  // standard output, at most 1 MiB
  std::string errors;  // standard error, at most 1 MiB
};

/// Starts a child, whose messages are in English and which does not outlive us, and waits for it.
[[nodiscard]] ChildResult run_program(const std::vector<std::string>& arguments,
                                      const std::filesystem::path& folder);

/// Direct children, ended ones that nobody waited for included.
[[nodiscard]] std::vector<pid_t> children_of_this_process();

}  // namespace troupe
