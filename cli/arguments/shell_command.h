#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cli {

/// A word as a POSIX shell takes it for exactly these bytes; plain words stay as they are.
[[nodiscard]] std::string shell_word(std::string_view word);

/// The command line of `troupe ARGUMENTS…` for printing: it works when it is pasted into a shell in any
/// folder, for the program is named by its absolute path unless the shell finds it as `troupe`.
[[nodiscard]] std::string troupe_command(const std::vector<std::string>& arguments);

}  // namespace troupe::cli
