#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "cli/run/run_start.h"
#include "configs/run_config.h"

namespace troupe::cli {

struct RunRequest {
  configs::RunConfig config;  // workers and expert_parallel resolved
  std::string run_folder;     // empty: a new numbered one
  Resume resume;
  configs::AllowedChanges allowed_changes = {};
  bool workers_elsewhere = false;  // under_mpi: some are on other machines
  bool under_mpi = false;          // the output goes through mpirun, which pretends to be a terminal
};

struct ClassicEnd {
  int exit_code;
  bool workers_leave;  // by themselves; else they are still there, and the job is to be ended
};

/// The coordinator's side of a run: its folder, checkpoint to start from, dashboard, terminal. Everything
/// that can be refused is refused by the constructor, before anything of a new run is left behind.
class TrainingRun {
 public:
  explicit TrainingRun(RunRequest request);
  ~TrainingRun();
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  /// Absolute.
  [[nodiscard]] const std::filesystem::path& folder() const;
  /// See Coordinator::job().
  [[nodiscard]] const std::string& job() const;
  /// Starts the worker job, again after a failure that a new start may get over, and returns the exit code of
  /// the run.
  [[nodiscard]] int run_supervised();
  /// The workers were started by someone else.
  [[nodiscard]] ClassicEnd run_classic();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::cli
