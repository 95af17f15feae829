#include <algorithm>

#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/heads/heads.h"
#include "tensor/ops/matrix.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace troupe::ops {
namespace {

void check_channels(const char* operand, const ConstTensorView& view, std::int64_t rows, std::int64_t heads,
                    std::int64_t width, HeadChannels channels) {
  const std::int64_t least = (heads - 1) * channels.dim + channels.first + width;
  TROUPE_CHECK(view.device() == DeviceKind::kCpu && view.rows() == rows && view.columns() >= least &&
                   (channels.dim == 0 || channels.first + width <= channels.dim),
               "{} is {}, expected {} rows with {} heads of {}, of them {} from {} on", operand,
               view.shape().to_string(), rows, heads, channels.dim, width, channels.first);
}

}  // namespace

void copy_heads(const Execution& execution, std::int64_t heads, std::int64_t width, ConstTensorView x,
                HeadChannels from, TensorView out, HeadChannels to) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->copy_heads(heads, width, x, from, out, to);
  check_channels("copy_heads: x", x, out.rows(), heads, width, from);
  check_channels("copy_heads: out", out, out.rows(), heads, width, to);
  const Matrix<const float> source = matrix(x);
  const Matrix<float> target = matrix(out);
  parallel_for_blocks(execution, out.rows(), rows_of_a_task(heads * width),
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t t = begin; t < end; ++t) {
                          for (std::int64_t h = 0; h < heads; ++h) {
                            std::copy_n(source.row(t) + h * from.dim + from.first, width,
                                        target.row(t) + h * to.dim + to.first);
                          }
                        }
                      });
}

void sum_heads(const Execution& execution, std::int64_t heads, std::int64_t width, ConstTensorView x,
               HeadChannels from, TensorView out) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->sum_heads(heads, x, from, out);
  check_channels("sum_heads: x", x, out.rows(), heads, width, from);
  check_matrix("sum_heads: out", out, out.rows(), width);
  const Matrix<const float> source = matrix(x);
  const Matrix<float> target = matrix(out);
  parallel_for_blocks(execution, out.rows(), rows_of_a_task(heads * width),
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t t = begin; t < end; ++t) {
                          std::fill_n(target.row(t), width, 0.0F);
                          for (std::int64_t h = 0; h < heads; ++h) {
                            const float* head = source.row(t) + h * from.dim + from.first;
                            for (std::int64_t c = 0; c < width; ++c) target(t, c) += head[c];
                          }
                        }
                      });
}

}  // namespace troupe::ops
