#include "cli/subcommands.h"

namespace troupe::cli {

void add_config(CLI::App& program, Action& action);
void add_validate(CLI::App& program, Action& action);
void add_describe(CLI::App& program, Action& action);
void add_data(CLI::App& program, Action& action);
void add_tokenizer(CLI::App& program, Action& action);
void add_checkpoint(CLI::App& program, Action& action);

const std::vector<AddSubcommand>& subcommands() {
  static const std::vector<AddSubcommand> kAll{
      add_config,
      add_validate,
      add_describe,
      add_data,
      add_tokenizer,
      add_checkpoint,
  };
  return kAll;
}

}  // namespace troupe::cli
