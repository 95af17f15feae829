#include "tensor/ops/checks.h"
#include "tensor/ops/swiglu/swiglu.h"
#include "tensor/ops/swiglu/swiglu_ref.h"

namespace troupe::ops {

using reference::matrix;

void swiglu_forward(const Execution&, ConstTensorView gate_up, TensorView y) {
  check_matrix("swiglu: gate_up", gate_up, y.rows(), 2 * y.columns());
  reference::swiglu_forward<float>(matrix(gate_up), matrix(y));
}

void swiglu_backward(const Execution&, ConstTensorView dy, ConstTensorView gate_up, TensorView dgate_up) {
  check_matrix("swiglu: gate_up", gate_up, dy.rows(), 2 * dy.columns());
  check_matrix("swiglu: dgate_up", dgate_up, dy.rows(), 2 * dy.columns());
  reference::swiglu_backward<float>(matrix(dy), matrix(gate_up), matrix(dgate_up));
}

}  // namespace troupe::ops
