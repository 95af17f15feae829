#include "optimizer/sharded_adamw.h"

#include <algorithm>

#include "base/index.h"
#include "layout/layout.h"
#include "tensor/ops/adamw/adamw.h"
#include "tensor/parallel.h"

namespace troupe::optimizer {

ShardedAdamW::ShardedAdamW(const OptimizerOptions& options, const ParameterTable& table,
                           std::int64_t slice_begin, std::int64_t slice_end)
    : options_(options),
      begin_(slice_begin),
      end_(slice_end),
      first_moment_(at(slice_end - slice_begin)),
      second_moment_(first_moment_.size()) {
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const ParameterSpec& spec = table.specs()[i];
    const std::int64_t end = std::min(end_, table.offset(i) + spec.elements());
    for (std::int64_t element = std::max(begin_, table.offset(i)); element < end;
         element += layout::kChunkElements) {
      pieces_.push_back({element, std::min(layout::kChunkElements, end - element), decays(spec.role)});
    }
  }
}

void ShardedAdamW::update(const Execution& execution, std::int64_t step, double lr, float gradient_scale,
                          std::span<float> values, std::span<const float> gradient) {
  TROUPE_CHECK(gradient.size() == first_moment_.size(), "a gradient of {} elements for a slice of {}",
               gradient.size(), first_moment_.size());
  parallel_for(execution, std::ssize(pieces_), [&](std::int64_t i) {
    const Piece& piece = pieces_[at(i)];
    const auto length = at(piece.length);
    const auto in_slice = at(piece.begin - begin_);
    const ops::AdamWStep parameters{.lr = lr,
                                    .beta1 = options_.betas[0],
                                    .beta2 = options_.betas[1],
                                    .eps = options_.eps,
                                    .weight_decay = piece.decay ? options_.weight_decay : 0.0,
                                    .step = step,
                                    .gradient_scale = gradient_scale};
    ops::adamw(Execution{}, parameters, values.subspan(at(piece.begin), length),
               gradient.subspan(in_slice, length), std::span(first_moment_).subspan(in_slice, length),
               std::span(second_moment_).subspan(in_slice, length));
  });
}

}  // namespace troupe::optimizer
