#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "configs/run_config.h"
#include "data/preferences/pair_order.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer.h"
#include "model/model.h"
#include "storage/checkpoint_reader.h"

namespace troupe::cli {

/// path: a run's folder (its newest checkpoint) or a checkpoint. Throws kConfig, kCorrupt.
[[nodiscard]] storage::CheckpointReader open_checkpoint(const std::filesystem::path& path);

/// How a trained model is loaded.
struct LoadOptions {
  std::filesystem::path
      path;            // a run's folder (its newest checkpoint), a checkpoint, or one of Hugging Face's
  std::string corpus;  // empty: the one that the run was trained on
  std::int64_t micro_batch = 0;  // sequences computed at once; 0: as in training
  int threads = 1;
  bool by_domain = false;  // load of held-out text is counted by domain, as in training
};

/// Throws what LoadedModel would on that many workers, but for damaged values: before any is started.
void check_loadable(const LoadOptions& options, int workers);

/// A trained model as the workers of `world` hold it, each all of it but the experts, which they share: what
/// `generate` and `eval` work on. Of the corpus it reads the tokenizer only.
class LoadedModel {
 public:
  /// Collective; `world` must outlive it. Throws kConfig, kCorrupt.
  LoadedModel(const LoadOptions& options, comm::Communicator& world);

  [[nodiscard]] model::Model& model() { return *model_; }
  /// Whether this worker says what comes out: one does.
  [[nodiscard]] bool speaks() const { return model_->rank() == 0; }
  [[nodiscard]] comm::Communicator& world() const { return model_->world(); }
  [[nodiscard]] const data::Tokenizer& tokenizer() const { return *tokenizer_; }
  [[nodiscard]] const configs::RunConfig& config() const { return config_; }
  /// Of the weights.
  [[nodiscard]] std::int64_t step() const { return step_; }
  /// Throws kConfig for a reward model, which writes nothing.
  void require_language_model() const;
  /// Text that was not trained on. Throws kCorrupt when another tokenizer made it.
  [[nodiscard]] data::TokenDataset open_heldout() const;
  /// What dpo compares held-out pairs with, from the folder of the run; empty with another objective. Throws
  /// kConfig when the run has none of these pairs.
  [[nodiscard]] std::vector<model::PairScores> heldout_reference(const data::TokenDataset& heldout,
                                                                 const data::PairOrder& order) const;

 private:
  SystemClock clock_;
  configs::RunConfig config_;
  std::filesystem::path checkpoint_;
  std::int64_t step_ = 0;
  std::unique_ptr<data::Tokenizer> tokenizer_;
  std::unique_ptr<model::Model> model_;
};

}  // namespace troupe::cli
