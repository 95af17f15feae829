#include "layers/dropout.h"

#include <algorithm>

#include "base/index.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/matrix.h"
#include "tensor/parallel.h"

namespace troupe::layers {
namespace {

constexpr std::int64_t kWords = 4;  // of one index: for as many neighbours

}  // namespace

void Dropout::apply_numbered(const Pass& pass, std::int64_t first_number, TensorView x) const {
  if (!active(pass)) return;
  ops::check_matrix("dropout: x", x, x.rows(), x.columns());
  const Random random(pass.seed, purpose_, place_);
  const auto least = static_cast<std::uint32_t>(rate_ * 0x1p32);
  const auto factor = static_cast<float>(1.0 / (1.0 - rate_));
  const ops::Matrix<float> rows = ops::matrix(x);
  const std::int64_t indices = (rows.columns + kWords - 1) / kWords;
  parallel_for_blocks(pass.execution, rows.rows, ops::rows_of_a_task(rows.columns),
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t t = begin; t < end; ++t) {
                          const std::int64_t first = (first_number + t) * indices;
                          for (std::int64_t i = 0; i < rows.columns; i += kWords) {
                            const auto words = random.words(static_cast<std::uint64_t>(first + i / kWords));
                            for (std::int64_t j = i; j < std::min(rows.columns, i + kWords); ++j)
                              rows(t, j) = words[at(j - i)] < least ? 0.0F : rows(t, j) * factor;
                          }
                        }
                      });
}

}  // namespace troupe::layers
