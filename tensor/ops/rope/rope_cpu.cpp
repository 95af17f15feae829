#include "tensor/ops/checks.h"
#include "tensor/ops/rope/rope.h"
#include "tensor/ops/rope/rope_ref.h"

namespace troupe::ops {

void rope(const Execution&, const RopeTable& table, ConstTensorView positions, std::int64_t head_dim,
          RopeDirection direction, TensorView x) {
  TROUPE_CHECK(head_dim > 0 && x.columns() % head_dim == 0 && table.rotary() <= head_dim,
               "rope: heads of {} channels, {} of them rotated, in rows of {}", head_dim, table.rotary(),
               x.columns());
  const auto rows = integers("rope: positions", positions, x.rows());
  for (const std::int32_t position : rows) {
    TROUPE_CHECK(position >= 0 && position < table.positions(), "rope: position {} of {}", position,
                 table.positions());
  }
  const std::int64_t half = table.rotary() / 2;
  const reference::Matrix<const float> cosine{table.cosine(0), table.positions(), half, half};
  const reference::Matrix<const float> sine{table.sine(0), table.positions(), half, half};
  reference::rope<float>(cosine, sine, rows, head_dim, direction, reference::matrix(x));
}

}  // namespace troupe::ops
