#include "optimizer/sharded_adamw.h"

#include <algorithm>

#include "base/index.h"
#include "layout/layout.h"
#include "tensor/ops/device_ops.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/transfer.h"

namespace troupe::optimizer {

ShardedAdamW::ShardedAdamW(const OptimizerOptions& options, const ParameterTable& table,
                           std::int64_t slice_begin, std::int64_t slice_end, Accelerator* accelerator)
    : options_(options),
      begin_(slice_begin),
      end_(slice_end),
      first_moment_({slice_end - slice_begin}, DType::kF32, accelerator),
      second_moment_({slice_end - slice_begin}, DType::kF32, accelerator) {
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const ParameterSpec& spec = table.specs()[i];
    const std::int64_t end = std::min(end_, table.offset(i) + spec.elements());
    for (std::int64_t element = std::max(begin_, table.offset(i)); element < end;
         element += layout::kChunkElements) {
      pieces_.push_back(
          {element, std::min(layout::kChunkElements, end - element), decays(spec.role), spec.lr_factor});
    }
  }
  table_ = table_of(pieces_, accelerator);
}

Tensor ShardedAdamW::table_of(const std::vector<Piece>& pieces, Accelerator* accelerator) const {
  if (accelerator == nullptr) return {};
  std::vector<ops::AdamWRange> ranges;
  for (const Piece& piece : pieces) {
    const double decay = piece.decay ? options_.weight_decay : 0.0;
    ranges.push_back({piece.begin - begin_, piece.length, static_cast<float>(decay)});
  }
  constexpr std::int64_t kWords = sizeof(ops::AdamWRange) / sizeof(std::int32_t);
  Tensor table({std::ssize(ranges) * kWords}, DType::kI32, accelerator);
  upload<ops::AdamWRange>(*accelerator, ranges, table);
  return table;
}

ops::AdamWStep ShardedAdamW::step_of(const Piece& piece, std::int64_t step, double lr,
                                     float gradient_scale) const {
  const double decay = piece.decay ? options_.weight_decay : 0.0;
  return {.lr = lr * piece.lr_factor,
          .beta1 = options_.betas[0],
          .beta2 = options_.betas[1],
          .eps = options_.eps,
          .weight_decay = decay / piece.lr_factor,  // by lr alone
          .step = step,
          .gradient_scale = gradient_scale};
}

void ShardedAdamW::update(const Execution& execution, std::int64_t step, double lr, float gradient_scale,
                          TensorView values, ConstTensorView gradient) {
  const std::int64_t length = end_ - begin_;
  TROUPE_CHECK(gradient.elements() == length, "a gradient of {} elements for a slice of {}",
               gradient.elements(), length);
  if (pieces_.empty()) return;
  const TensorView slice = values.rows(begin_, length);
  if (ops::DeviceOps* device = ops::device_ops(execution)) {
    const OpScope measured(execution, OpKind::kAdamW);
    return device->adamw(step_of(pieces_.front(), step, lr, gradient_scale),
                         {table_.view().data(), std::ssize(pieces_), layout::kChunkElements}, slice, gradient,
                         first_moment_, second_moment_);
  }
  parallel_for(execution, std::ssize(pieces_), [&](std::int64_t i) {
    const Piece& piece = pieces_[at(i)];
    const auto of = [&](auto& view) { return part(view.floats(), piece.begin - begin_, piece.length); };
    ops::adamw(Execution{}, step_of(piece, step, lr, gradient_scale), of(slice), of(gradient),
               of(first_moment_), of(second_moment_));
  });
}

}  // namespace troupe::optimizer
