#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// out[t] = table[tokens[t]].  tokens: [tokens] i32, table: [vocab, hidden], out: [tokens, hidden]
void embedding_forward(const Execution& execution, ConstTensorView tokens, ConstTensorView table,
                       TensorView out);

/// dtable[tokens[t]] += dout[t], in token order (threads split columns, never tokens).
void embedding_backward(const Execution& execution, ConstTensorView tokens, ConstTensorView dout,
                        TensorView dtable);

}  // namespace troupe::ops
