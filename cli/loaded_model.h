#pragma once
#include <filesystem>
#include <memory>

#include "configs/run_config.h"
#include "storage/checkpoint_reader.h"
#include "workers/training_loop.h"

namespace troupe::cli {

/// path: a run's folder (its newest checkpoint) or a checkpoint. Throws kConfig, kCorrupt.
[[nodiscard]] storage::CheckpointReader open_checkpoint(const std::filesystem::path& path);

/// A trained model in this process, for one worker without MPI: what `generate` and `eval` work on.
class LoadedModel {
 public:
  /// path: a run's folder (its newest checkpoint) or a checkpoint. micro_batch: sequences computed at once.
  /// corpus: empty for the one the run was trained on. Throws kConfig, kCorrupt.
  LoadedModel(const std::filesystem::path& path, std::int64_t micro_batch, int threads,
              const std::string& corpus);

  [[nodiscard]] workers::Trainer& trainer() { return *trainer_; }
  [[nodiscard]] const workers::TrainingData& data() const { return *data_; }
  [[nodiscard]] const configs::RunConfig& config() const { return config_; }

 private:
  SystemClock clock_;
  configs::RunConfig config_;
  std::unique_ptr<comm::Communicator> world_;
  std::unique_ptr<layout::Layout> layout_;
  std::unique_ptr<workers::TrainingData> data_;
  std::unique_ptr<workers::Trainer> trainer_;
};

}  // namespace troupe::cli
