#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "model/parameters.h"
#include "model/transformer.h"
#include "tests/golden/golden_file.h"

namespace troupe::golden {

/// Of a case's "config".
[[nodiscard]] model::ModelOptions options_of(const nlohmann::json& config);

/// |ours - theirs| / |theirs|, and that both are as long.
[[nodiscard]] double relative_error(std::span<const float> ours, std::span<const float> theirs);

[[nodiscard]] std::vector<float> zeros(const ParameterTable& table);

/// Our model with the weights of one case.
class GoldenModel {
 public:
  struct Gradient {
    std::vector<float> dense, experts;
    model::MicrobatchResult result;
  };

  /// tokens: of a microbatch, which is sequences of `length`
  GoldenModel(const std::string& name, const model::ObjectiveOptions& objective, std::int64_t length,
              std::int64_t tokens);

  [[nodiscard]] const nlohmann::json& index() const { return file_.index(); }
  [[nodiscard]] const GoldenFile& file() const { return file_; }
  [[nodiscard]] model::Transformer& transformer() { return *transformer_; }
  [[nodiscard]] const ParameterTable& dense() const { return dense_; }
  [[nodiscard]] const ParameterTable& experts() const { return experts_; }
  /// Dense ones, and the experts'.
  [[nodiscard]] std::array<std::vector<float>, 2>& values() { return values_; }
  [[nodiscard]] model::Weights weights() const { return {values_[0], values_[1]}; }
  [[nodiscard]] std::span<const float> bias() const { return bias_; }

  [[nodiscard]] Gradient gradient(const MicrobatchInput& input, const model::StepContext& step);

  /// That the case has just our parameters below `prefix`, and each is as near as the tolerance.
  void expect_equal_below(const std::string& prefix, const std::vector<float>& dense,
                          const std::vector<float>& experts, double tolerance) const;

 private:
  [[nodiscard]] std::vector<float> loaded(const ParameterTable& table) const;
  [[nodiscard]] std::vector<float> gathered(const std::string& name, const std::vector<float>& dense,
                                            const std::vector<float>& experts) const;

  GoldenFile file_;
  model::ModelOptions options_;
  std::vector<ParameterSpec> specs_;
  ParameterTable dense_;
  ParameterTable experts_;
  std::vector<float> bias_;
  std::array<std::vector<float>, 2> values_;
  std::vector<std::unique_ptr<comm::Communicator>> group_;
  std::unique_ptr<model::Transformer> transformer_;
};

}  // namespace troupe::golden
