#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "comm/collectives/communicator.h"
#include "configs/run_config.h"
#include "conversion/family.h"
#include "layers/microbatch.h"
#include "model/model.h"
#include "storage/checkpoint_reader.h"

namespace troupe::golden {

/// A run that was imported, and what its model computes, alone.
class ImportedModel {
 public:
  /// length: of its sequences; at most two are computed at once
  ImportedModel(const std::filesystem::path& run, std::int64_t length);

  [[nodiscard]] const model::ModelOptions& options() const { return config_.model; }
  [[nodiscard]] std::int64_t vocab() const { return *config_.model.vocab_size; }

  /// Logits of a row of a sequence, which is filled up behind.
  [[nodiscard]] std::vector<float> logits(std::vector<std::int32_t> tokens, std::int64_t row);

  /// Greedy tokens after the prompt, by a cache, whose positions are one sequence's among others.
  [[nodiscard]] std::vector<std::int32_t> written(const std::vector<std::int32_t>& prompt, std::size_t count);

  /// Σ -log p of the tokens after the first, and how many they are.
  [[nodiscard]] std::pair<double, std::int64_t> loss(const std::vector<std::int32_t>& tokens);

  /// Gradients of the mean loss of two sequences' tokens after their first ones, as the tensors that a file
  /// of the family has, in its order of values.
  using Gradients = std::map<std::string, std::vector<float>>;
  struct Trained {
    Gradients gradients;
    double mtp_loss = 0.0;  // mean of all modules
  };
  [[nodiscard]] Trained trained(const std::vector<std::vector<std::int32_t>>& sequences,
                                const conversion::Family& family);

 private:
  /// tokens, targets: of whole sequences
  [[nodiscard]] MicrobatchInput input(const std::vector<std::int32_t>& tokens,
                                      const std::vector<std::int32_t>& targets);

  storage::CheckpointReader reader_;
  configs::RunConfig config_;
  std::int64_t length_;
  SystemClock clock_;
  std::unique_ptr<comm::Communicator> world_;
  std::unique_ptr<model::Model> model_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> first_visible_;
};

}  // namespace troupe::golden
