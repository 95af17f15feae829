#pragma once
#include <CLI/CLI.hpp>

#include "cli/subcommands.h"

namespace troupe::cli {

/// `troupe data inspect`: what a prepared corpus holds, in numbers or as text.
void add_data_inspect(CLI::App& data, Action& action);

}  // namespace troupe::cli
