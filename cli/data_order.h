#pragma once
#include <CLI/CLI.hpp>

#include "cli/subcommands.h"

namespace troupe::cli {

/// `troupe data order`: which tokens and documents a step of a run sees.
void add_data_order(CLI::App& data, Action& action);

}  // namespace troupe::cli
