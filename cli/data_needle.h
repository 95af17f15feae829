#pragma once
#include <CLI/CLI.hpp>

#include "cli/subcommands.h"

namespace troupe::cli {

/// `troupe data needle`: questions about one sentence of a long text, for `troupe eval --tasks`.
void add_data_needle(CLI::App& data, Action& action);

}  // namespace troupe::cli
