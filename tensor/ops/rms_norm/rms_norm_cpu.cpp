#include "tensor/ops/checks.h"
#include "tensor/ops/rms_norm/rms_norm.h"
#include "tensor/ops/rms_norm/rms_norm_ref.h"

namespace troupe::ops {

using reference::matrix;

void rms_norm_forward(const Execution&, ConstTensorView x, ConstTensorView weight, double eps, TensorView y,
                      TensorView inv_rms) {
  check_matrix("rms_norm: y", y, x.rows(), x.columns());
  reference::rms_norm_forward<float>(matrix(x), reals("rms_norm: weight", weight, x.columns()), eps,
                                     matrix(y), reals("rms_norm: inv_rms", inv_rms, x.rows()));
}

void rms_norm_backward(const Execution&, ConstTensorView dy, ConstTensorView x, ConstTensorView weight,
                       ConstTensorView inv_rms, TensorView dx, TensorView dweight, bool accumulate_dx) {
  check_matrix("rms_norm: dy", dy, x.rows(), x.columns());
  check_matrix("rms_norm: dx", dx, x.rows(), x.columns());
  reference::rms_norm_backward<float>(matrix(dy), matrix(x), reals("rms_norm: weight", weight, x.columns()),
                                      reals("rms_norm: inv_rms", inv_rms, x.rows()), matrix(dx),
                                      reals("rms_norm: dweight", dweight, x.columns()), accumulate_dx);
}

}  // namespace troupe::ops
