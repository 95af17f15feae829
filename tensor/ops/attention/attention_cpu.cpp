#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/attention_ref.h"
#include "tensor/ops/checks.h"

namespace troupe::ops {
namespace {

std::span<const std::int32_t> checked_first_visible(const AttentionShape& shape,
                                                    const ConstTensorView& first_visible) {
  const auto values = integers("attention: first_visible", first_visible, shape.sequences * shape.length);
  for (std::size_t t = 0; t < values.size(); ++t) {
    const auto position = static_cast<std::int64_t>(t) % shape.length;
    TROUPE_CHECK(values[t] >= 0 && values[t] <= position, "attention: position {} sees from {} on", position,
                 values[t]);
  }
  return values;
}

void check_operands(const AttentionShape& shape, const ConstTensorView& q, const ConstTensorView& k,
                    const ConstTensorView& v, const ConstTensorView& out,
                    const ConstTensorView& log_sum_exp) {
  TROUPE_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0 && shape.head_dim > 0,
               "attention: {} heads for {} key/value heads of {}", shape.heads, shape.kv_heads,
               shape.head_dim);
  const std::int64_t tokens = shape.sequences * shape.length;
  check_matrix("attention: q", q, tokens, shape.heads * shape.head_dim);
  check_matrix("attention: k", k, tokens, shape.kv_heads * shape.head_dim);
  check_matrix("attention: v", v, tokens, shape.kv_heads * shape.head_dim);
  check_matrix("attention: out", out, tokens, shape.heads * shape.head_dim);
  check_matrix("attention: log_sum_exp", log_sum_exp, shape.sequences * shape.heads, shape.length);
}

}  // namespace

void attention_forward(const Execution&, const AttentionShape& shape, ConstTensorView q, ConstTensorView k,
                       ConstTensorView v, ConstTensorView first_visible, TensorView out,
                       TensorView log_sum_exp) {
  check_operands(shape, q, k, v, out, log_sum_exp);
  reference::attention_forward<float>(shape, matrix(q), matrix(k), matrix(v),
                                      checked_first_visible(shape, first_visible), matrix(out),
                                      matrix(log_sum_exp));
}

void attention_backward(const Execution&, Arena&, const AttentionShape& shape, ConstTensorView dout,
                        ConstTensorView q, ConstTensorView k, ConstTensorView v, ConstTensorView out,
                        ConstTensorView log_sum_exp, ConstTensorView first_visible, TensorView dq,
                        TensorView dk, TensorView dv) {
  check_operands(shape, q, k, v, out, log_sum_exp);
  check_operands(shape, dq, dk, dv, dout, log_sum_exp);
  reference::attention_backward<float>(shape, matrix(dout), matrix(q), matrix(k), matrix(v), matrix(out),
                                       matrix(log_sum_exp), checked_first_visible(shape, first_visible),
                                       matrix(dq), matrix(dk), matrix(dv));
}

}  // namespace troupe::ops
