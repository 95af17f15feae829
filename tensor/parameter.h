#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe {

enum class ParameterKind : std::uint8_t {
  kDense,   // every worker holds all of it
  kExpert,  // only the workers that hold the expert
};

/// The part of a layer, or of the model, that a parameter belongs to.
enum class ParameterPart : std::uint8_t {
  kEmbedding,
  kMixer,        // attention, with its norms
  kFeedForward,  // with its norm, also where experts follow it
  kRouter,
  kExperts,
  kSharedExperts,
  kHead,  // with the final norm
};

/// What it does there: weight decay, scales by width and other programs' models go by it.
enum class ParameterRole : std::uint8_t {
  kEmbedding,  // [vocab, hidden], a row for every token id
  kHead,       // [vocab, hidden], to logits
  kNorm,       // [width], a factor that begins at 1
  kInput,      // matrix that reads the residual stream: to queries, keys and values, gate and up
  kInputBias,
  kOutput,  // matrix that writes to it: attention's out, down
  kOutputBias,
  kRouter,  // [choices, hidden]: one row per choice, as all of the router's
  kRouterBias,
  kGate,  // [1, hidden], to one number per token
};

/// Matrices do, but for embeddings; norms and biases do not.
[[nodiscard]] bool decays(ParameterRole role);

/// Rows [first, the next one's first) of a matrix that begin with values of another deviation.
struct InitialRows {
  std::int64_t first = 0;
  double factor = 1.0;  // on init_std
};

/// What a parameter is, whoever holds it.
struct ParameterSpec {
  std::string name;         // "layers/03/attention/qkv_proj"; an expert's is the stacked tensor's name
  Shape shape;              // of one expert, for kExpert
  std::int64_t layer = -1;  // of the model; -1: before or after all of them
  ParameterPart part = ParameterPart::kMixer;
  ParameterRole role = ParameterRole::kInput;
  ParameterKind kind = ParameterKind::kDense;
  std::int64_t expert = -1;                    // global expert id for kExpert
  std::int64_t moe_layer = -1;                 // index among the layers with experts for kExpert
  std::int64_t experts = 0;                    // of the stacked tensor for kExpert: [experts, ...shape]
  double init_std = 0.02;                      // truncated normal, ±3 std; 0: constant init_constant
  float init_constant = 0.0F;                  // 1 for norm weights
  std::vector<InitialRows> initial_rows = {};  // ascending, from row 0 on; none: all alike
  double lr_factor = 1.0;                      // on the learning rate; weight decay goes by that without it

  [[nodiscard]] std::int64_t elements() const { return shape.elements(); }
  /// Where this parameter starts in its global tensor, in elements.
  [[nodiscard]] std::int64_t global_begin() const {
    return kind == ParameterKind::kExpert ? expert * elements() : 0;
  }
  /// [experts, ...shape] for an expert's, else shape.
  [[nodiscard]] Shape global_shape() const;
};

/// Parameters of one kind that a worker holds, in (name, expert) order in one flat buffer, each
/// aligned to kTensorAlignment. Gradient buffers have the same offsets.
class ParameterTable {
 public:
  explicit ParameterTable(std::vector<ParameterSpec> specs);  // sorts

  [[nodiscard]] std::span<const ParameterSpec> specs() const { return specs_; }
  [[nodiscard]] std::int64_t offset(std::size_t index) const { return offsets_[index]; }  // in floats
  /// Floats of a buffer that holds all, padding included.
  [[nodiscard]] std::int64_t buffer_elements() const { return offsets_.back(); }
  /// Sum of the parameters' elements, padding not included.
  [[nodiscard]] std::int64_t elements() const;
  /// Index of (name, expert); throws kInternal when absent.
  [[nodiscard]] std::size_t find(const std::string& name, std::int64_t expert = -1) const;

  /// A parameter inside a flat buffer, on the host or on a device.
  [[nodiscard]] TensorView view(TensorView buffer, std::size_t index) const;
  [[nodiscard]] ConstTensorView view(ConstTensorView buffer, std::size_t index) const;
  [[nodiscard]] TensorView view(std::span<float> buffer, std::size_t index) const;
  [[nodiscard]] ConstTensorView view(std::span<const float> buffer, std::size_t index) const;

 private:
  std::vector<ParameterSpec> specs_;
  std::vector<std::int64_t> offsets_;  // specs + 1
};

/// Initial values: truncated normal from Philox, keyed by (seed, name, global element number), so
/// the same for every layout.
///   values: of the parameter's elements from `begin` on
void initialize(const ParameterSpec& spec, std::uint64_t seed, std::span<float> values,
                std::int64_t begin = 0);

/// The same for all that lies in [begin, end) of a buffer laid out by `table`, by the execution's threads.
void initialize(const Execution& execution, const ParameterTable& table, std::uint64_t seed,
                std::int64_t begin, std::int64_t end, std::span<float> buffer);

}  // namespace troupe
