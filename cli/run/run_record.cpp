#include "cli/run/run_record.h"

#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/yaml_tree.h"
#include "configs/load.h"
#include "storage/checkpoint_store.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

fs::path record_file(const fs::path& run_folder) { return run_folder / "config.yaml"; }

std::optional<storage::CheckpointReader> newest_usable(const fs::path& run_folder) {
  const storage::CheckpointStore store(run_folder / storage::kCheckpointsFolder);
  const auto checkpoints = store.list();
  if (checkpoints.empty() || !checkpoints.front().usable()) return std::nullopt;
  return storage::CheckpointReader(checkpoints.front().folder);
}

constexpr std::string_view kSeal = "# sha256 of the lines above: ";

std::string sealed(const std::string& yaml) { return fmt::format("{}{}{}\n", yaml, kSeal, sha256(yaml)); }

/// A record that was cut at the end of a line is YAML still, of a run with other options.
std::string read_whole(const fs::path& file) {
  std::string text = read_file(file, kMaximumYamlBytes);
  const std::size_t seal = text.rfind(kSeal);
  if (seal != std::string::npos && text == sealed(text.substr(0, seal))) return text;
  throw Error(ErrorCode::kCorrupt,
              "{} is not as it was written: cut short, overwritten or edited (options change with --set)",
              file.string());
}

[[noreturn]] void refuse_without_record(const fs::path& run_folder, const RunRecord& record) {
  if (record.problem.empty()) {
    throw Error(ErrorCode::kConfig,
                "{} is not the folder of a run that can go on: give a CONFIG to begin one there",
                run_folder.string());
  }
  throw Error(ErrorCode::kConfig,
              "{}\nthe run's record is damaged, and there is no checkpoint to take it from", record.problem);
}

/// What the process before was told for itself is not taken over.
std::vector<std::string> with_overrides(const configs::RunConfig& recorded,
                                        const std::vector<std::string>& overrides) {
  std::vector<std::string> settings{"run.stop_after=null"};
  if (recorded.parallel.expert_parallel == recorded.parallel.workers)
    settings.emplace_back("parallel.expert_parallel=auto");
  settings.insert(settings.end(), overrides.begin(), overrides.end());
  return settings;
}

}  // namespace

std::string record_text(const configs::RunConfig& config) { return sealed(configs::dump(config)); }

RunRecord read_run_record(const fs::path& run_folder) {
  RunRecord record;
  const fs::path file = record_file(run_folder);
  std::error_code missing;
  if (!fs::exists(file, missing)) return record;
  try {
    record.config = configs::parse_record(read_whole(file), file.string());
  } catch (const Error& error) {
    record.problem = error.what();
  }
  return record;
}

configs::RunConfig load_recorded_config(const fs::path& run_folder, const std::vector<std::string>& overrides,
                                        const configs::Check& more) {
  const RunRecord record = read_run_record(run_folder);
  if (record.config) {
    const fs::path file = record_file(run_folder);
    return configs::parse_record(read_whole(file), file.string(), with_overrides(*record.config, overrides),
                                 more);
  }
  const auto reader = newest_usable(run_folder);
  if (!reader) refuse_without_record(run_folder, record);
  if (!record.problem.empty()) {
    log::warn("the run's record is damaged, its configuration is taken from {}: {}",
              reader->folder().string(), record.problem);
  }
  const std::string& text = reader->manifest().metadata.config;
  const std::string source = reader->folder().string();
  const configs::RunConfig saved = configs::parse_record(text, source);
  return configs::parse_record(text, source, with_overrides(saved, overrides), more);
}

}  // namespace troupe::cli
