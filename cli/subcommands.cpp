#include "cli/subcommands.h"

namespace troupe::cli {

void add_train(CLI::App& program, Action& action);
void add_generate(CLI::App& program, Action& action);
void add_eval(CLI::App& program, Action& action);
void add_config(CLI::App& program, Action& action);
void add_validate(CLI::App& program, Action& action);
void add_describe(CLI::App& program, Action& action);
void add_data(CLI::App& program, Action& action);
void add_tokenizer(CLI::App& program, Action& action);
void add_import(CLI::App& program, Action& action);
void add_export(CLI::App& program, Action& action);
void add_checkpoint(CLI::App& program, Action& action);
void add_bench(CLI::App& program, Action& action);
void add_view(CLI::App& program, Action& action);
void add_worker(CLI::App& program, Action& action);

const std::vector<AddSubcommand>& subcommands() {
  static const std::vector<AddSubcommand> kAll{
      add_train, add_generate,  add_eval,   add_view,   add_config,     add_validate, add_describe,
      add_data,  add_tokenizer, add_import, add_export, add_checkpoint, add_bench,    add_worker,
  };
  return kAll;
}

}  // namespace troupe::cli
