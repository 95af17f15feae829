#pragma once
#include <cstdint>

#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Experts without compute (LongCat-Flash, arXiv 2509.01322): a token that chooses one gets itself back,
/// times the weight. Nothing is sent. Added after routed slots and shared experts: y[t] += Σ w[t,j] x[t]
/// over its slots j with a choice ≥ `experts`, in order.
class ZeroExperts {
 public:
  explicit ZeroExperts(std::int64_t experts) : experts_(experts) {}

  /// chosen: [tokens, slots] i32; weights: [tokens, slots]; x, y: [tokens, hidden], y added to
  void forward(const Pass& pass, ConstTensorView x, ConstTensorView chosen, ConstTensorView weights,
               TensorView y) const;
  /// dweights: [tokens, slots] and dx: [tokens, hidden], both added to
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, ConstTensorView chosen,
                ConstTensorView weights, TensorView dweights, TensorView dx) const;

 private:
  /// [tokens, slots] i32: the token itself where it chose a zero-compute expert, else -1.
  [[nodiscard]] TensorView own_rows(const Pass& pass, ConstTensorView chosen) const;

  std::int64_t experts_;
};

}  // namespace troupe::experts
