#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// What the coordinator and its workers say to each other. Plain values; commands are imperative,
/// events past tense. Every message travels with its epoch (see link.h); stale ones are dropped.
namespace troupe::comm {

/// Counts the layouts of a run: raised, and persisted in the run folder, by every start of workers.
using Epoch = std::int64_t;

// ---- worker → coordinator ----------------------------------------------------------------------

/// First message of a worker process. With the inproc backend one process speaks for all ranks.
struct JoinRequested {
  std::int64_t first_rank = 0;
  std::int64_t ranks = 1;
  std::int64_t world_size = 1;
  std::string host;
  std::int64_t process_id = 0;
  std::uint64_t numerics_fingerprint = 0;  // hash of every kernel's output on fixed inputs
  std::string run_folder_nonce;            // read from the run folder: proves that it is shared
  std::string job = {};                    // what the starter of this epoch's job gave it: see kJobVariable
  bool operator==(const JoinRequested&) const = default;
};

/// Load of one MoE layer in one step: the integers everything else is computed from.
struct LayerLoad {
  std::int64_t layer = 0;                  // index among all layers of the model
  std::vector<std::int64_t> counts;        // [experts], routed pairs over the global batch, before drops
  std::vector<float> bias;                 // [experts], balance bias after the update
  std::int64_t zero_compute = 0;           // pairs routed to zero-compute experts
  std::vector<std::int64_t> dropped = {};  // [experts], of counts; empty where nothing is dropped
  std::vector<double> aux_loss = {};       // [aux losses], without coefficient; empty in evaluations
  double router_z = 0.0;                   // mean over tokens of logsumexp(z)²
  // Summed over the steps since they were last told, every few steps; empty in between or where not counted.
  std::vector<std::int64_t> domains = {};        // [domains * experts], counts by the domain of the token
  std::vector<std::int64_t> co_activation = {};  // [experts * experts], tokens that chose both i < j
  bool operator==(const LayerLoad&) const = default;
};

/// One finished training step. Worker 0 fills everything, the others rank, step and phase_seconds.
struct StepFinished {
  std::int64_t rank = 0;
  std::int64_t step = 0;                  // 1 after the first update
  std::int64_t tokens_total = 0;          // consumed since the run's start
  std::map<std::string, double> metrics;  // names of docs/observability.md: "loss", "grad_norm", …
  std::vector<LayerLoad> loads;
  std::map<std::string, double>
      phase_seconds;             // load, forward, dispatch, expert, combine, backward, reduce, update
  std::string skip_reason = {};  // empty where the step was not skipped
  bool operator==(const StepFinished&) const = default;
};

struct DomainLoss {
  double nats = 0.0;        // sum over predicted tokens
  std::int64_t tokens = 0;  // predicted tokens
  std::int64_t bytes = 0;   // UTF-8 bytes of the predicted text
  // With preferences nats and tokens are of pairs, without bytes.
  std::int64_t preferred = -1;  // pairs with a margin above 0; -1: no pairs
  bool operator==(const DomainLoss&) const = default;
};

struct EvaluationFinished {
  std::int64_t step = 0;  // 0 = before any update
  std::map<std::string, DomainLoss> domains;
  std::vector<LayerLoad> loads;  // counts over the evaluation set
  bool operator==(const EvaluationFinished&) const = default;
};

struct SampleFinished {
  std::int64_t step = 0;
  std::string prompt;
  std::string text;
  bool operator==(const SampleFinished&) const = default;
};

/// A worker wrote (or failed to write) its file of a checkpoint.
struct ShardWritten {
  std::int64_t rank = 0;
  std::int64_t step = 0;
  std::string folder;       // the temporary folder's name inside checkpoints/
  std::string description;  // storage's own JSON: file, size, hash, tensors; empty after a failure
  std::string error;        // empty on success
  // Where the run stands at this step, for the manifest; the same from every worker.
  std::int64_t updates = 0;       // steps that changed the weights
  std::int64_t tokens_total = 0;  // consumed since the run's start
  std::int64_t data_cursor = 0;   // global number of the next sequence
  bool operator==(const ShardWritten&) const = default;
};

/// Where a rank's compute thread is: see base/progress.h.
struct RankPlace {
  std::int64_t rank = 0;
  std::string phase;             // of the step
  std::int64_t layer = -1;       // -1: none
  std::string collective;        // that it waits in; empty: none
  std::int64_t collectives = 0;  // that it has begun
  std::int64_t moves = 0;        // what does not change stands still
  bool operator==(const RankPlace&) const = default;
};

/// What a worker is doing, several times a second: says where it was when it falls silent or dies.
struct WorkerActive {
  std::int64_t rank = 0;
  std::int64_t step = 0;               // that it works on
  std::string activity;                // "training", "saving", …
  std::vector<RankPlace> places = {};  // of the process's ranks
  bool operator==(const WorkerActive&) const = default;
};

/// What WorkerFailed::error_code says of a worker whose replicated parameters are not those of most, or of
/// all, that hold them.
inline constexpr std::string_view kDeviates = "deviates";
inline constexpr std::string_view kDisagrees = "disagrees";

/// A rank cannot go on. The process ends after this.
struct WorkerFailed {
  std::int64_t rank = 0;
  std::string error_code;  // to_string(ErrorCode), or one of the above
  std::string message;
  bool operator==(const WorkerFailed&) const = default;
};

/// All steps of the plan are done, or the workers stopped together on a request.
struct TrainingEnded {
  std::int64_t rank = 0;
  std::int64_t step = 0;  // last finished
  bool finished = false;  // true: run.steps reached; false: stopped early, state saved
  // Steps were skipped again and again: the weights are of no use, and nothing was saved since.
  std::string diverged = {};     // why, and what to do; empty: it was not so
  std::int64_t updates = 0;      // that these weights have seen; of a run that diverged, as the next
  std::int64_t data_cursor = 0;  // global number of the sequence after the last that was skipped
  bool operator==(const TrainingEnded&) const = default;
};

// ---- coordinator → worker ----------------------------------------------------------------------

/// Sent once all ranks joined with equal fingerprints and nonces.
struct StartTraining {
  std::int64_t world_size = 1;
  std::string checkpoint;        // folder to load, absolute; empty: start from initial values
  std::int64_t data_cursor = 0;  // sequences before this one are left out; 0: as the checkpoint says
  std::string snapshots = {};    // folder in shared memory that snapshots are taken to; empty: none are
  std::string snapshot = {};     // folder there to go on from; empty: from the checkpoint
  std::int64_t snapshot_step = 0;
  bool operator==(const StartTraining&) const = default;
};

/// What happens at step boundaries first_step..last_step: lists of steps, ascending; step 0 is before
/// any update, step n after the n-th. A run that loaded the checkpoint of step n > 0 begins with the plan of
/// n + 1 on: the events of boundary n were done before it was saved; or with that of n, if they were broken
/// off. A worker at last_step that is not the run's waits for the next version, which comes long before in
/// practice.
struct StepPlan {
  std::int64_t version = 0;  // ascending; workers switch to the newest one together
  std::int64_t first_step = 0;
  std::int64_t last_step = 0;
  std::vector<std::int64_t> evaluate;        // with evaluation.sequences
  std::vector<std::int64_t> evaluate_fully;  // with evaluation.final_sequences
  std::vector<std::int64_t> sample;
  std::vector<std::int64_t> save;
  std::int64_t stop_after = -1;  // save and end after this step; -1: none
  bool operator==(const StepPlan&) const = default;
};

/// Finish the step, save, end. The workers agree on the boundary through their control word.
struct StopTraining {
  std::string reason;
  bool operator==(const StopTraining&) const = default;
};

/// The run is over for this worker, and all its reports arrived: the process may exit.
struct Dismiss {
  bool operator==(const Dismiss&) const = default;
};

/// The coordinator cannot take this worker; it prints the reason and exits.
struct Refuse {
  std::string reason;
  bool operator==(const Refuse&) const = default;
};

// Heartbeats and acknowledgements belong to the link, not to this list.
using WorkerMessage = std::variant<JoinRequested, StepFinished, EvaluationFinished, SampleFinished,
                                   ShardWritten, WorkerActive, WorkerFailed, TrainingEnded>;
using CoordinatorMessage = std::variant<StartTraining, StepPlan, StopTraining, Dismiss, Refuse>;

}  // namespace troupe::comm
