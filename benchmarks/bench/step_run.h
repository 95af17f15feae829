#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/bench/report.h"
#include "comm/collectives/communicator.h"
#include "configs/run_config.h"
#include "data/batch_order.h"
#include "workers/step/trainer.h"

namespace troupe::benchmarks {

/// The training steps of one configuration, on parallel.workers threads of this process with
/// parallel.threads each, and a data set of its own making.
class StepRun {
 public:
  /// counts_ops: for parts(); on a device it waits for every op
  /// Throws kConfig where a number that is otherwise read from a corpus is missing, and where parallel.device
  /// is not here.
  StepRun(std::string name, const configs::RunConfig& config, std::int64_t steps, bool counts_ops,
          const Clock& clock);
  ~StepRun();
  StepRun(const StepRun&) = delete;
  StepRun& operator=(const StepRun&) = delete;

  /// All workers' GEMM rate at once, FLOP/s: the peak of MFU.
  void measure_peak();
  /// The first step touches memory and is not counted.
  void step();

  [[nodiscard]] const std::string& name() const { return name_; }
  /// A line in tokens a second, against what its products take at the peak: `of` is MFU.
  [[nodiscard]] Measurement measurement() const;
  /// Of the median step of worker 0: every phase and op, and what is left of each phase.
  [[nodiscard]] std::vector<Part> parts() const;
  /// peak, FLOP, losses, memory and shares, each name after `prefix`
  [[nodiscard]] std::vector<Fact> facts(const std::string& prefix) const;
  [[nodiscard]] double mfu() const;
  [[nodiscard]] double median_seconds() const;
  [[nodiscard]] double activation_bytes() const;

 private:
  struct Worker;
  struct CountedStep {
    PhaseSeconds seconds;
    Profile profile;
    [[nodiscard]] double total() const;
  };
  [[nodiscard]] const CountedStep& median_step() const;
  [[nodiscard]] double share_beside_expert_products() const;

  std::string name_;
  workers::TrainingOptions options_;
  int worker_count_;
  const Clock& clock_;
  std::unique_ptr<data::TokenDataset> dataset_;
  std::unique_ptr<data::BatchOrder> order_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<CountedStep> counted_;
  bool warm_ = false;
  double peak_ = 0.0;
  double loss_ = 0.0;  // of the last step
};

}  // namespace troupe::benchmarks
