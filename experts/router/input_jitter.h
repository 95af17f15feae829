#pragma once
#include <cstdint>

#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Multiplies the router's input, and no one else's, by U(1 - ε, 1 + ε) element by element (arXiv
/// 2101.03961). The factors are a function of seed, layer and global token, so backward has the same.
class InputJitter {
 public:
  InputJitter(double epsilon, std::int64_t layer)
      : epsilon_(static_cast<float>(epsilon)), layer_(static_cast<std::uint32_t>(layer)) {}

  /// Only while training.
  [[nodiscard]] bool active(const Pass& pass) const { return epsilon_ != 0.0F && pass.training; }

  /// y = x · factors.  x, y: [tokens, hidden]
  void scale(const Pass& pass, ConstTensorView x, TensorView y) const;

  /// y += x · factors: also the gradient of scale().
  void add_scaled(const Pass& pass, ConstTensorView x, TensorView y) const;

 private:
  template <class Store>
  void for_factors(const Pass& pass, ConstTensorView x, const Store& store) const;

  float epsilon_;
  std::uint32_t layer_;
};

}  // namespace troupe::experts
