#include "tensor/ops/checks.h"
#include "tensor/ops/embedding/embedding.h"
#include "tensor/ops/embedding/embedding_ref.h"

namespace troupe::ops {
namespace {

std::span<const std::int32_t> checked_tokens(const ConstTensorView& tokens, std::int64_t count,
                                             std::int64_t vocab) {
  const auto values = integers("embedding: tokens", tokens, count);
  for (const std::int32_t token : values) {
    TROUPE_CHECK(token >= 0 && token < vocab, "embedding: token {} of a vocabulary of {}", token, vocab);
  }
  return values;
}

}  // namespace

void embedding_forward(const Execution&, ConstTensorView tokens, ConstTensorView table, TensorView out) {
  check_matrix("embedding: out", out, out.rows(), table.columns());
  const auto values = checked_tokens(tokens, out.rows(), table.rows());
  reference::embedding_forward<float>(values, reference::matrix(table), reference::matrix(out));
}

void embedding_backward(const Execution&, ConstTensorView tokens, ConstTensorView dout, TensorView dtable) {
  check_matrix("embedding: dtable", dtable, dtable.rows(), dout.columns());
  const auto values = checked_tokens(tokens, dout.rows(), dtable.rows());
  reference::embedding_backward<float>(values, reference::matrix(dout), reference::matrix(dtable));
}

}  // namespace troupe::ops
