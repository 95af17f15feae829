#include "tensor/ops/embedding/embedding.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/embedding/embedding_cpu.cpp"
#include <hwy/foreach_target.h>

#include "base/index.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/matrix.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

// Columns [first, last) of dtable, token after token.
void embedding_backward_columns(const std::int32_t* tokens, Matrix<const float> dout, Matrix<float> dtable,
                                std::int64_t first, std::int64_t last) {
  for (std::int64_t t = 0; t < dout.rows; ++t) {
    const float* source = dout.row(t);
    float* target = dtable.row(tokens[t]);
    for_each_vector(first, last, [&](auto d, std::int64_t j) HWY_ATTR {
      hn::StoreU(hn::Add(hn::LoadU(d, target + j), hn::LoadU(d, source + j)), d, target + j);
    });
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(embedding_backward_columns);

namespace {

constexpr std::int64_t kColumnsOfATask = 128;

std::span<const std::int32_t> checked_tokens(const ConstTensorView& tokens, std::int64_t count,
                                             std::int64_t vocab) {
  const auto values = integers("embedding: tokens", tokens, count);
  for (const std::int32_t token : values) {
    TROUPE_CHECK(token >= 0 && token < vocab, "embedding: token {} of a vocabulary of {}", token, vocab);
  }
  return values;
}

}  // namespace

void embedding_forward(const Execution& execution, ConstTensorView tokens, ConstTensorView table,
                       TensorView out) {
  const OpScope measured(execution, OpKind::kEmbedding);
  if (DeviceOps* device = device_ops(execution)) return device->embedding_forward(tokens, table, out);
  check_matrix("embedding: out", out, out.rows(), table.columns());
  const auto values = checked_tokens(tokens, out.rows(), table.rows());
  const Matrix<const float> source = matrix(table);
  const Matrix<float> target = matrix(out);
  parallel_for_blocks(execution, out.rows(), rows_of_a_task(out.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        for (std::int64_t t = first; t < last; ++t) {
                          std::copy_n(source.row(values[at(t)]), source.columns, target.row(t));
                        }
                      });
}

void embedding_backward(const Execution& execution, ConstTensorView tokens, ConstTensorView dout,
                        TensorView dtable) {
  const OpScope measured(execution, OpKind::kEmbedding);
  if (DeviceOps* device = device_ops(execution)) return device->embedding_backward(tokens, dout, dtable);
  check_matrix("embedding: dtable", dtable, dtable.rows(), dout.columns());
  const auto values = checked_tokens(tokens, dout.rows(), dtable.rows());
  parallel_for_blocks(execution, dout.columns(), kColumnsOfATask, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(embedding_backward_columns)
    (values.data(), matrix(dout), matrix(dtable), first, last);
  });
}

}  // namespace troupe::ops
#endif
