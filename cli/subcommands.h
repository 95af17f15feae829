#pragma once
#include <functional>
#include <vector>

namespace CLI {
class App;
}

namespace troupe::cli {

/// What the chosen subcommand does; returns the program's exit code.
using Action = std::function<int()>;

/// Adds a subcommand to the program, and sets `action` when it is chosen. One file each.
using AddSubcommand = void (*)(CLI::App& program, Action& action);

/// All of them, in the order of `troupe --help`.
[[nodiscard]] const std::vector<AddSubcommand>& subcommands();

}  // namespace troupe::cli
