#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "conversion/family.h"
#include "model/options.h"
#include "storage/safetensors/file.h"
#include "tensor/parameter.h"

namespace troupe::conversion {

using storage::safetensors::Slice;

/// Rows of one of our parameters, which follow each other there, too.
struct RowBlock {
  std::int64_t first = 0;  // of theirs
  std::int64_t rows = 0;
};

/// Rows of one of our parameters as a slice of a tensor of theirs.
struct Part {
  std::string theirs;
  Slice slice;
};

/// A tensor of theirs, and what of ours it has.
struct TheirTensor {
  struct Source {
    std::string ours;  // global tensor
    std::int64_t begin = 0;
    Slice slice;  // of theirs
  };
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<Source> sources;
  float added = 0.0F;    // to ours
  bool repeats = false;  // what another tensor says: it is written, and not read
};

/// How a model's parameters lie in a family's tensors. Pure.
class TensorMap {
 public:
  /// kConfig, naming the parameter, when the family has no tensor for one.
  TensorMap(const Family& family, const model::ModelOptions& options, std::int64_t vocab_size);

  [[nodiscard]] const std::vector<ParameterSpec>& parameters() const { return specs_; }
  /// Of a parameter, one after another.
  [[nodiscard]] std::vector<Part> parts(const ParameterSpec& spec) const;
  /// In the order of our parameters.
  [[nodiscard]] const std::vector<TheirTensor>& tensors() const { return tensors_; }
  /// Of the bias that experts are chosen with, of a layer with experts; empty: the family has none.
  [[nodiscard]] std::string router_bias(std::int64_t moe_layer) const;

 private:
  [[nodiscard]] const std::vector<NamedPart>& named_parts(const ParameterSpec& spec) const;
  [[nodiscard]] std::vector<RowBlock> blocks_of(const NamedPart& part, const ParameterSpec& spec) const;
  void add(const ParameterSpec& spec);
  void add_router_biases();
  void add_repeated();

  const Family& family_;
  model::ModelOptions options_;
  std::vector<ParameterSpec> specs_;
  std::vector<TheirTensor> tensors_;
  std::map<std::string, std::size_t> index_;  // of theirs, by name
};

}  // namespace troupe::conversion
