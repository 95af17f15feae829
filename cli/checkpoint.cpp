// troupe checkpoint list | inspect | verify
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/arguments/path_option.h"
#include "cli/subcommands.h"
#include "storage/checkpoint_path.h"
#include "storage/checkpoint_report.h"

namespace troupe::cli {
namespace {

struct CheckpointArguments {
  std::filesystem::path path;
  bool digest = false;
  bool json = false;
};

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

int list(const CheckpointArguments& arguments) {
  const auto checkpoints = storage::find_checkpoints(arguments.path);
  print(arguments.json ? storage::list_as_json(checkpoints) : storage::list_as_text(checkpoints));
  const bool all_usable = std::ranges::all_of(checkpoints, &storage::CheckpointSummary::usable);
  return all_usable ? kSuccess : kFailure;
}

int inspect(const CheckpointArguments& arguments) {
  const auto checkpoint = storage::find_checkpoint(arguments.path);
  const storage::Manifest manifest = storage::load_manifest(checkpoint);
  print(arguments.json ? storage::manifest_as_json(checkpoint, manifest)
                       : storage::manifest_as_text(checkpoint, manifest));
  return kSuccess;
}

/// Reads the other checkpoints of a run, too, and names those that are damaged; whether there are any.
bool warn_of_others(const CheckpointArguments& arguments, const std::filesystem::path& verified) {
  bool damaged = false;
  for (const storage::CheckpointSummary& other : storage::find_checkpoints(arguments.path)) {
    if (other.folder == verified) continue;
    const storage::VerifyReport report = storage::verify(other.folder);
    const std::string& problem = other.usable() && !report.intact() ? report.problems.front() : other.problem;
    if (problem.empty()) continue;
    std::fprintf(stderr, "damaged, not used: %s\n", problem.c_str());
    damaged = true;
  }
  return damaged;
}

int verify(const CheckpointArguments& arguments) {
  const auto checkpoint = storage::find_checkpoint(arguments.path);
  const storage::VerifyReport report = storage::verify(checkpoint);
  std::optional<std::string> digest;
  if (arguments.digest && report.intact()) digest = storage::digest(checkpoint);
  print(arguments.json ? storage::verification_as_json(checkpoint, report, digest)
                       : storage::verification_as_text(checkpoint, report, digest));
  const bool others_damaged = warn_of_others(arguments, checkpoint);
  return report.intact() && !others_damaged ? kSuccess : kFailure;
}

CLI::App* add_command(CLI::App& parent, const char* name, const char* help, Action& action,
                      const std::shared_ptr<CheckpointArguments>& arguments,
                      int (*command)(const CheckpointArguments&)) {
  CLI::App* added = parent.add_subcommand(name, help);
  add_path(*added, "path", arguments->path, "A run's folder, or one checkpoint")->required();
  added->add_flag("--json", arguments->json, "For programs");
  added->footer(std::string("Example:\n  troupe checkpoint ") + name + " runs/quickstart-1");
  added->callback(
      [arguments, command, &action] { action = [arguments, command] { return command(*arguments); }; });
  return added;
}

}  // namespace

void add_checkpoint(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<CheckpointArguments>();
  CLI::App* parent = program.add_subcommand("checkpoint", "What a run saved: list, inspect, verify");
  parent->require_subcommand(1);
  parent->footer("Example:\n  troupe checkpoint verify runs/quickstart-1 --digest");
  add_command(*parent, "list", "A run's checkpoints, newest first", action, arguments, list);
  add_command(*parent, "inspect", "Metadata, tensors and files of a checkpoint", action, arguments, inspect);
  CLI::App* verification =
      add_command(*parent, "verify", "Read every byte again and compare hashes", action, arguments, verify);
  verification->add_flag("--digest", arguments->digest,
                         "Print one SHA-256 of the state, independent of the layout");
}

}  // namespace troupe::cli
