#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"

namespace troupe::coordinator {

struct RunOptions {
  std::string name = "quickstart";
  std::int64_t seed = 1;
  std::int64_t steps = 240;
  std::int64_t max_skipped_steps = 5;         // in a row; then the run goes back to a checkpoint, or ends
  std::int64_t max_roll_backs = 3;            // of the whole run; 0: it ends instead
  double loss_spike_sigmas = 0.0;             // a step with such a loss is skipped, too; 0: none
  bool record_routing = false;                // keep every step's routing in <run folder>/routing
  std::optional<std::string> replay_routing;  // route as a recording says
  std::optional<std::int64_t> stop_after;     // save and exit 75 after this step
  std::string dir = "runs";                   // a run without --run-dir is <dir>/<name>-<n>
};

struct LaunchOptions {
  std::optional<std::string> hostfile;   // for mpirun
  std::optional<std::string> interface;  // network interface of MPI's TCP
  std::vector<std::string> mpirun_args;
};

struct EvaluationOptions {
  std::int64_t every = 50;  // steps; 0 = only at the start and the end
  std::int64_t sequences = 64;
  std::int64_t final_sequences = 1024;  // at step 0 and at the end
};

struct SamplingOptions {
  std::int64_t every = 100;  // steps; 0 = never
  std::vector<std::string> prompts{"The"};
  std::int64_t tokens = 64;
};

/// What is done about failures, where the coordinator starts the workers itself.
struct ElasticOptions {
  std::int64_t max_restarts = 10;  // within window_seconds; 0: a failure ends the run
  double window_seconds = 3600.0;
  std::int64_t max_failures_per_step = 3;  // without a new step in between
  std::int64_t min_workers = 1;
  double silence_seconds = 60.0;  // of a worker, then it is given up
  double stall_seconds = 30.0;    // without a move of any worker; 0: never given up
  std::int64_t verify_every = 0;  // steps between comparisons of what several workers hold; 0: never
  double straggler_factor = 2.0;  // so many times slower than the others is told; 0: never
  double backoff_seconds = 1.0;   // doubled with every failure without a new step
};

struct CheckpointOptions {
  std::int64_t every = 100;         // steps; 0 = only when stopping
  std::int64_t snapshot_every = 0;  // steps between copies in shared memory; 0 = none
  std::int64_t keep = 3;            // newest ones kept
  std::int64_t keep_every = 0;      // also keeps those whose step is a multiple; 0 = none
};

void describe(Fields& fields, RunOptions& options);
void describe(Fields& fields, LaunchOptions& options);
void describe(Fields& fields, EvaluationOptions& options);
void describe(Fields& fields, SamplingOptions& options);
void describe(Fields& fields, CheckpointOptions& options);
void describe(Fields& fields, ElasticOptions& options);

}  // namespace troupe::coordinator
