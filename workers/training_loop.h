#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "comm/control/messages/messages.h"
#include "model/model.h"
#include "workers/agent/run_control.h"
#include "workers/checkpoint/checkpoint_saver.h"
#include "workers/checkpoint/snapshot_writer.h"
#include "workers/checkpoint/storage_thread.h"
#include "workers/evaluator.h"
#include "workers/init_from/initialize_from.h"
#include "workers/preferences/pair_evaluator.h"
#include "workers/routing/routing_tapes.h"
#include "workers/sampler.h"
#include "workers/step/expert_placer.h"
#include "workers/step/trainer.h"
#include "workers/step_reports.h"
#include "workers/training_data.h"

namespace troupe::workers {

/// What happens at step borders, and how.
struct EventOptions {
  std::int64_t evaluation_sequences = 64;
  std::int64_t final_evaluation_sequences = 1024;
  std::vector<std::string> prompts;
  std::int64_t sample_tokens = 64;
  std::int64_t max_skipped_steps = 5;  // in a row
  std::int64_t placement_every = 0;    // steps between moves of experts; 0: they stay
  double peak_flops = 0.0;             // of all workers together, FLOP/s; 0: measured at the start
  bool saves_on_the_way = false;       // not only at the end: memory for that is taken at the start
  std::int64_t snapshot_every = 0;     // steps between snapshots in memory; 0: none
};

/// Where a loop saves to and resumes from.
struct LoopStorage {
  std::filesystem::path checkpoints;  // folder of the run
  std::string load;                   // checkpoint folder to resume from; empty: a new run
  std::int64_t data_cursor = 0;       // sequences before this one are left out
  comm::Epoch epoch = 0;
  std::string snapshots = {};  // folder for snapshots in memory, of this start of workers; empty: none
  std::string snapshot = {};   // folder of that to go on from, instead of `load`; empty: none
  std::int64_t snapshot_step = 0;
  std::optional<InitialWeights> weights;  // of a new run; none: initial values
  RoutingFolders routing = {};
};

/// One rank's way through a run: steps, and the plan's evaluations, samples and saves at the borders
/// between them; every rank acts at the same borders. Used from the compute thread.
class TrainingLoop {
 public:
  /// The references must outlive the loop, as must the accelerator, which is null where the host computes.
  /// Collective over `world`.
  TrainingLoop(const TrainingOptions& options, const EventOptions& events, const LoopStorage& storage,
               const TrainingData& data, const layout::Layout& layout, comm::Communicator& world,
               StorageThread& storage_thread, RunControl& control, const Clock& clock,
               Accelerator* accelerator = nullptr);

  /// Until the run's last step, or until someone asks to stop, or until it has diverged. A stop saves first.
  comm::TrainingEnded run();

 private:
  /// The values to begin with.
  void load();
  /// What dpo compares with: by the values to begin with, or as the run that goes on has it.
  [[nodiscard]] PairReference make_reference(const PairFiles& files);
  const StepResult& train_step();
  /// last: no step follows, if nobody asks to stop meanwhile. Returns whether none does.
  bool border(std::int64_t step, bool last);
  void hold_events(std::int64_t step);
  /// Whether any worker was asked to stop. Collective; once true, it stays so.
  bool interrupted();
  /// Too many steps in a row were skipped.
  [[nodiscard]] bool has_diverged() const;
  [[nodiscard]] comm::TrainingEnded end_diverged(const StepResult& result) const;
  void evaluate(std::int64_t step, std::int64_t sequences);
  void sample(std::int64_t step);
  void save(std::int64_t step, bool last);
  [[nodiscard]] bool takes_snapshot(std::int64_t step) const;

  EventOptions events_;
  LoopStorage storage_;
  StorageThread& storage_thread_;
  RunControl& control_;
  comm::Communicator& world_;
  int rank_;
  model::Model model_;
  PairReference reference_;  // of dpo
  Trainer trainer_;
  Evaluator evaluator_;
  std::optional<PairEvaluator> pair_evaluator_;  // of preferences, in its place
  Sampler sampler_;
  ExpertPlacer placer_;
  RoutingTapes routing_;
  comm::StepPlan plan_;
  bool interrupted_ = false;  // in the middle of events, which are still to be held
  StepReports reports_;
  std::optional<SnapshotWriter> snapshots_;
  CheckpointSaver saver_;  // may read model_ and trainer_ to its end
};

}  // namespace troupe::workers
