#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// What people are shown of a run. Names of metrics: docs/observability.md.
namespace troupe::dashboard {

/// One MoE layer after one step.
struct LayerRecord {
  std::int64_t layer = 0;                  // among all layers of the model
  std::vector<std::int64_t> counts;        // [experts], tokens of the global batch, before drops
  std::vector<float> bias;                 // [experts]
  std::vector<std::int64_t> dropped = {};  // [experts], of counts; empty where nothing is dropped
  std::int64_t zero_compute = 0;           // pairs routed to zero-compute experts
  std::vector<double> aux_losses = {};     // [aux losses], without coefficient
  // Over the steps since the last record that has them; empty in between or where not counted.
  std::vector<std::int64_t> domains = {};        // [domains * experts]
  std::vector<std::int64_t> co_activation = {};  // [experts * experts], tokens that chose both i < j
  std::map<std::string, double> metrics;         // "max_violation_batch", "load_entropy", …
};

struct StepRecord {
  double time = 0.0;  // seconds since the Unix epoch
  std::int64_t step = 0;
  std::int64_t tokens = 0;  // consumed since the run's start
  std::map<std::string, double> metrics;
  std::vector<LayerRecord> layers;
};

struct DomainEvaluation {
  double loss = 0.0;                    // nats per token
  double bits_per_byte = 0.0;           // of the predicted text
  std::int64_t tokens = 0;              // or pairs of answers, with
  std::optional<double> accuracy = {};  // the part of them whose chosen answer is preferred
};

/// One MoE layer over the evaluation set.
struct LayerEvaluation {
  std::int64_t layer = 0;                 // among all layers of the model
  std::map<std::string, double> metrics;  // "max_violation_global", "mutual_information_bits", …
};

struct EvaluationRecord {
  double time = 0.0;
  std::int64_t step = 0;  // 0: before any update
  DomainEvaluation total;
  std::map<std::string, DomainEvaluation> domains;
  std::vector<LayerEvaluation> layers = {};
};

struct WorkerRecord {
  std::int64_t rank = 0;
  std::string host;
  std::int64_t process_id = 0;
  double heartbeat_age_seconds = 0.0;
  bool suspected = false;
};

/// A worker that is slower than the others.
struct StragglerRecord {
  std::int64_t rank = 0;
  std::string phase;
  double factor = 1.0;  // times as long as the others take
};

struct SampleRecord {
  std::int64_t step = 0;
  std::string prompt;
  std::string text;
};

struct CheckpointRecord {
  std::int64_t step = 0;
  double seconds = 0.0;
  std::int64_t bytes = 0;
  std::string error;  // empty on success
};

/// Workers were started again: the run goes on from `step`, as the same run where they were lost, and with
/// other batches where training diverged.
struct RestartRecord {
  double time = 0.0;
  std::int64_t step = 0;
  std::int64_t failed_step = 0;  // the last that was finished before
  std::int64_t epoch = 0;
  std::int64_t workers = 0;
  std::string reason;
  bool rolled_back = false;  // training diverged: the steps after `step` are of no use
};

struct RunInfo {
  std::string name;
  std::string folder;
  std::int64_t steps = 0;
  std::int64_t workers = 0;
  std::int64_t epoch = 0;
  std::vector<std::string> domains = {};  // of the corpus, in the order of LayerRecord::domains
};

}  // namespace troupe::dashboard
