#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/token_dataset.h"
#include "tensor/accelerator.h"
#include "workers/routing/routing_tapes.h"
#include "workers/step/trainer.h"

namespace troupe::test {

/// Options like configs/tiny.yaml's, on the committed test corpus: every part that crosses workers is on.
workers::TrainingOptions tiny_options(const data::TokenDataset& dataset);

data::TokenDataset tiny_dataset();

/// A file of the source tree: where the program was built, or below the current folder.
std::filesystem::path source_path(const std::string& file);

struct WorkerLayout {
  int workers = 1;
  int expert_parallel = 1;
  int threads = 1;
  bool recompute = false;
};

/// All that must not depend on the layout.
struct TrainingRecord {
  struct Step {
    std::uint64_t loss_bits;
    std::uint64_t grad_norm_bits;
    std::vector<std::int64_t> load;  // every integer of it
    std::vector<float> bias;
    bool operator==(const Step&) const = default;
  };
  std::vector<Step> steps;
  std::map<std::pair<std::string, std::int64_t>, std::vector<float>> weights;  // by (name, expert)
  bool operator==(const TrainingRecord&) const = default;
};

/// The device that a worker computes on; none: the host.
using MakeAccelerator = std::function<std::unique_ptr<Accelerator>()>;

/// Trains `steps` steps with worker threads in this process.
/// between: called by every worker after each of its steps; device: called by every worker's thread
TrainingRecord train_inproc(
    workers::TrainingOptions options, const data::TokenDataset& dataset, const WorkerLayout& layout,
    int steps, const std::function<void(workers::Trainer&, const workers::StepResult&)>& between = {},
    const workers::RoutingFolders& routing = {}, const MakeAccelerator& device = {});

}  // namespace troupe::test
