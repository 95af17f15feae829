#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/control/messages/messages.h"
#include "comm/control/options.h"
#include "coordinator/checkpoints/checkpoint_commits.h"
#include "coordinator/job/job_command.h"
#include "coordinator/run/outcome.h"
#include "coordinator/run/run_folder.h"
#include "coordinator/run/run_observer.h"
#include "coordinator/run/step_scheduler.h"

namespace troupe::coordinator {

struct CoordinatorOptions {
  std::int64_t workers = 1;  // ranks
  ScheduleOptions schedule;
  comm::ControlOptions control;
  ElasticOptions elastic = {};
  std::int64_t lanes = 1;        // of a batch, over all workers
  std::string checkpoint;        // folder to load, absolute; empty: initial values
  std::int64_t data_cursor = 0;  // sequences before this one are left out; 0: as the checkpoint says
  std::string snapshot = {};     // folder of memory to load instead; empty: the checkpoint is
  /// Makes the folder that an epoch's workers take snapshots to; empty: they take none.
  std::function<std::string(comm::Epoch)> make_snapshots = {};
  std::int64_t first_step = 0;  // of that checkpoint or snapshot
  bool evaluated = true;        // the evaluation of that step, if one is due there, is in the metrics
  std::vector<std::vector<comm::LayerLoad>> history = {};  // of steps before it, oldest first
};

/// One start of workers (an epoch) from the outside: everything the coordinator does for a run. Used by the
/// main thread; one per process at a time.
///
/// Construction raises the run folder's epoch, begins to listen, and writes contact.json, in that order: a
/// worker that finds the file finds the coordinator. Signals that ask for the end (signals::kStopSignals) are
/// handled from then on: see StopRequests.
class Coordinator {
 public:
  /// The references must outlive it. Throws kIo when the address cannot be listened on.
  Coordinator(const CoordinatorOptions& options, RunFolder& folder, CheckpointCommits& commits,
              RunObserver& observer);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  [[nodiscard]] comm::Epoch epoch() const;
  /// What a worker of classic mode needs to know.
  [[nodiscard]] std::filesystem::path contact_file() const;
  /// What workers of this epoch, and nobody else, get from whoever starts them (comm::kJobVariable): a
  /// process that joins without it is turned away.
  [[nodiscard]] const std::string& job() const;

  /// As a first signal would: saves and stops. From any thread, an observer's too.
  void request_stop(const std::string& reason);

  /// Starts the worker job, waits for the end of the run, and leaves no process behind.
  [[nodiscard]] RunOutcome run_supervised(const JobOptions& job);
  /// Waits for the end of a run whose workers someone else started. After a failure some may still run.
  [[nodiscard]] RunOutcome run_classic();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::coordinator
