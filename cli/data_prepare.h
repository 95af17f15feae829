#pragma once
#include "cli/subcommands.h"

namespace troupe::cli {

/// troupe data prepare: of a description, or of files.
void add_data_prepare(CLI::App& data, Action& action);

}  // namespace troupe::cli
