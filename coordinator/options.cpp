#include "coordinator/options.h"

namespace troupe::coordinator {

void describe(Fields& fields, RunOptions& options) {
  fields.text("name", options.name, "Name of the run; part of its folder's name");
  fields.integer("seed", options.seed, kNonNegative, "Seed of initial weights, data order and sampling");
  fields.integer("steps", options.steps, kPositive, "Optimizer steps, one global batch each");
  fields.integer(
      "max_skipped_steps", options.max_skipped_steps, kPositive,
      "A step with a value that is not finite is skipped; after so many in a row the run goes back "
      "to a checkpoint (run.max_roll_backs)");
  fields.integer(
      "max_roll_backs", options.max_roll_backs, kNonNegative,
      "Times, in all of the run, that it goes back to a checkpoint with older weights and skips the "
      "batches since; then, or without such a checkpoint, it ends; 0: it never goes back");
  fields.real(
      "loss_spike_sigmas", options.loss_spike_sigmas, {0.0, 1000.0},
      "A step is skipped, too, when its loss is so many standard deviations above the mean of the last "
      "128 steps that were not; 6 is usual; 0: none is");
  fields.optional_integer(
      "stop_after", options.stop_after, "null", kPositive,
      "Save and exit 75 after this step, for time-sliced queues; the same command goes on");
  fields.flag("record_routing", options.record_routing,
              "Keep which experts every token chose, in every step, in <run folder>/routing, to be replayed");
  fields.optional_text("replay_routing", options.replay_routing,
                       "Folder of a recording, <run folder>/routing: in training, tokens go to the experts "
                       "it names; null: the router chooses");
  fields.text("dir", options.dir, "A run without --run-dir is written to <dir>/<name>-<n>");
}

void describe(Fields& fields, LaunchOptions& options) {
  fields.optional_text("hostfile", options.hostfile,
                       "Hosts of the workers, in mpirun's format; null: this one");
  fields.optional_text("interface", options.interface,
                       "Network interface, or subnet, of the traffic between workers; null: MPI chooses");
  fields.texts("mpirun_args", options.mpirun_args, "More arguments for mpirun, before the program");
}

void describe(Fields& fields, EvaluationOptions& options) {
  fields.integer("every", options.every, kNonNegative,
                 "Steps between evaluations; 0: only before the first step and at the end");
  fields.integer("sequences", options.sequences, kPositive, "Held-out sequences of an evaluation on the way");
  fields.integer("final_sequences", options.final_sequences, kPositive,
                 "Held-out sequences of the evaluations before the first step and at the end");
}

void describe(Fields& fields, SamplingOptions& options) {
  fields.integer("every", options.every, kNonNegative,
                 "Steps between texts that the model writes, and one at the end; 0: never");
  fields.texts(
      "prompts", options.prompts,
      "How the texts begin, one each; not with a space at the end, which would be a token of its own");
  fields.integer("tokens", options.tokens, kPositive, "Tokens of a text after its prompt");
}

void describe(Fields& fields, CheckpointOptions& options) {
  fields.integer("every", options.every, kNonNegative,
                 "Steps between checkpoints; 0: only when the run stops");
  fields.integer(
      "snapshot_every", options.snapshot_every, kNonNegative,
      "Steps between copies of the state in /dev/shm, which workers that are started again on this "
      "machine go on from when it is newer than the checkpoint: two copies of weights and optimizer "
      "state; 0: none");
  fields.integer("keep", options.keep, kPositive, "The newest checkpoints that are kept");
  fields.integer("keep_every", options.keep_every, kNonNegative,
                 "Also keeps the checkpoints whose step is a multiple of this; 0: none");
}

void describe(Fields& fields, ElasticOptions& options) {
  fields.integer(
      "max_restarts", options.max_restarts, kNonNegative,
      "Times that lost workers are replaced, within elastic.window_seconds, before the run fails; 0: "
      "never");
  fields.real("window_seconds", options.window_seconds, {1.0, 1e9}, "What elastic.max_restarts counts over");
  fields.integer("max_failures_per_step", options.max_failures_per_step, kPositive,
                 "So many failures without a new step in between end the run");
  fields.integer("min_workers", options.min_workers, kPositive,
                 "Where all workers cannot be started again, the run goes on with fewer, but not fewer than "
                 "these");
  fields.real("silence_seconds", options.silence_seconds, {0.5, 1e6},
              "A worker from which nothing was heard for so long is given up");
  fields.real(
      "stall_seconds", options.stall_seconds, {0.0, 1e6},
      "Workers are given up when none of them gets any further for so long, or for 8 times the median "
      "step if that is longer, though they can be heard; 10 times so long while they load and save; "
      "0: never");
  fields.integer(
      "verify_every", options.verify_every, kNonNegative,
      "Steps between comparisons of the parameters that several workers hold: where they differ, the "
      "worker that deviates from most is left out, and the run goes back to its last state; 0: never");
  fields.real(
      "straggler_factor", options.straggler_factor, {0.0, 1000.0},
      "A worker that takes so many times as long as the others for the same work is told of; 0: never");
  fields.real("backoff_seconds", options.backoff_seconds, {0.0, 3600.0},
              "Wait before the same step is tried again, doubled each time");
}

}  // namespace troupe::coordinator
