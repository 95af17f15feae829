// troupe data prepare | inspect | order | needle
#include <CLI/CLI.hpp>

#include "cli/data_inspect.h"
#include "cli/data_needle.h"
#include "cli/data_order.h"
#include "cli/data_prepare.h"
#include "cli/subcommands.h"

namespace troupe::cli {
void add_data(CLI::App& program, Action& action) {
  auto* subcommand = program.add_subcommand("data", "Prepare text for training, and look at it");
  subcommand->require_subcommand(1);
  subcommand->footer("Example:\n  troupe data inspect data/quickstart");
  add_data_prepare(*subcommand, action);
  add_data_inspect(*subcommand, action);
  add_data_order(*subcommand, action);
  add_data_needle(*subcommand, action);
}

}  // namespace troupe::cli
