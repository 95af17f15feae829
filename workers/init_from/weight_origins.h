#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/options.h"
#include "tensor/parameter.h"
#include "workers/init_from/options.h"

namespace troupe::workers {

/// The model that a checkpoint holds.
struct SourceModel {
  std::string name;  // for messages: the checkpoint's folder
  model::ModelOptions model;
  std::int64_t vocab_size = 0;
  std::vector<std::vector<std::int64_t>> loads;  // [moe layers][experts], of the last global batch
};

/// `rows` stretches of `columns` elements of a global source tensor, `stride` elements apart; an empty
/// tensor is the target parameter itself, at its initial values.
struct Block {
  std::string tensor;
  std::int64_t begin = 0;
  std::int64_t rows = 1;
  std::int64_t columns = 0;
  std::int64_t stride = 0;
  float factor = 1.0F;
  bool operator==(const Block&) const = default;
};

/// Where a target parameter (of one expert) comes from: its blocks one after the other. None: it keeps its
/// initial values.
struct Origin {
  std::vector<Block> blocks;
  bool duplicate = false;  // an expert that another one with a lower id equals
};

/// How the weights of one model become another's. Pure: the same on every worker and layout.
///   dense tensors         copied; shapes must be equal
///   experts               copied by map_experts, their router rows alike
///   a dense layer that gets experts (arXiv 2212.05055, 2410.07524)
///                         expert_size = intermediate_size: every expert is the dense FFN. A part of it,
///                         1/s: expert e is slice e mod s, and the s experts of a group share the router row
///                         of the first, so that they are chosen together; s divides experts and top_k.
///                         The factor s / (sum of a token's weights at logits 0) makes up for weights that
///                         are shared among slices, or do not add up to 1.
///   router and shared experts that the source has not       initial values
class WeightOrigins {
 public:
  /// Throws kConfig, naming the tensor, both shapes and what to do, when a target tensor cannot come from
  /// the source, or a source tensor would be lost.
  WeightOrigins(const SourceModel& source, const model::ModelOptions& target, std::int64_t vocab_size,
                const InitFromOptions& options);

  [[nodiscard]] Origin of(const ParameterSpec& target) const;

  /// The source choice of each target choice (experts, then zero-compute ones) of a layer with experts; -1:
  /// it is new. Empty when the source's layer is dense.
  [[nodiscard]] std::vector<std::int64_t> choices(std::int64_t layer) const;

 private:
  void require_same_layers() const;
  void require_nothing_lost(std::int64_t vocab_size) const;
  void require_slices_fit() const;
  [[nodiscard]] const ParameterSpec* find(const std::string& name) const;
  [[nodiscard]] const ParameterSpec& source_of(const ParameterSpec& target, const std::string& name) const;
  [[nodiscard]] Origin copied(const ParameterSpec& target) const;
  [[nodiscard]] Origin copied_expert(const ParameterSpec& target) const;
  [[nodiscard]] Origin router(const ParameterSpec& target) const;
  [[nodiscard]] Origin upcycled_router(const ParameterSpec& target) const;
  [[nodiscard]] Origin upcycled_expert(const ParameterSpec& target) const;
  [[nodiscard]] const ParameterSpec& dense_source(const ParameterSpec& target) const;
  [[nodiscard]] float slice_factor(ParameterRole role) const;
  [[nodiscard]] std::int64_t slices() const;

  SourceModel source_;
  model::ModelOptions target_;
  InitFromOptions options_;
  std::map<std::string, ParameterSpec> specs_;  // of the source, one expert of each tensor
};

/// What a token's weights add up to when all logits are 0.
[[nodiscard]] double weight_sum_at_zero(const experts::MoeOptions& options);

}  // namespace troupe::workers
