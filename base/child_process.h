#pragma once
#include <sys/types.h>

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
  int death_signal = 0;                            // what the child gets when this process dies before it
  bool operator==(const Command&) const = default;
};

/// Forks and executes, in a new process group, stdin from /dev/null. The child gets `death_signal` when the
/// calling *thread* ends. Throws kIo naming the program when it cannot be executed.
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
