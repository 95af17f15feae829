#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configs/load.h"
#include "configs/run_config.h"

namespace troupe::cli {

/// The resolved configuration in a run's folder, as it was when workers were started last.
struct RunRecord {
  std::optional<configs::RunConfig> config;
  std::string problem;  // why a config.yaml that is there cannot be used; empty: it can, or there is none
};

/// The text of the record: the configuration as YAML, and a last line with its hash, by which one sees that
/// it is whole.
[[nodiscard]] std::string record_text(const configs::RunConfig& config);

/// A problem does not throw.
[[nodiscard]] RunRecord read_run_record(const std::filesystem::path& run_folder);

/// The configuration of a run that goes on without being given one: the record, or when that is damaged, with
/// a warning, the newest usable checkpoint's; then `overrides`. `run.stop_after` is not taken over: it was
/// for the process before; `parallel.expert_parallel` follows the number of workers, if it did. Throws
/// kConfig when the folder has neither, and as load_config does.
[[nodiscard]] configs::RunConfig load_recorded_config(const std::filesystem::path& run_folder,
                                                      const std::vector<std::string>& overrides,
                                                      const configs::Check& more = nullptr);

}  // namespace troupe::cli
