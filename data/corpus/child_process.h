#pragma once
#include <filesystem>
#include <span>
#include <string>

namespace troupe::data {

struct ChildResult {
  int exit_code = 0;   // 128 + n when signal n ended it
  std::string output;  // standard output, at most 1 MiB
  std::string errors;  // standard error, at most 1 MiB
};

/// Runs a program without a shell and waits for it: found by PATH, in `folder`, without standard
/// input, its messages in English. arguments[0] is the program.
/// Throws kIo when it cannot be started, which names the program.
[[nodiscard]] ChildResult run_program(std::span<const std::string> arguments,
                                      const std::filesystem::path& folder);

}  // namespace troupe::data
