#include "model/widths.h"

#include "tensor/ops/activation/kind.h"

namespace troupe::model {

std::int64_t ffn_width(const ModelOptions& options) {
  if (options.ffn.intermediate_size) return *options.ffn.intermediate_size;
  constexpr std::int64_t kMultiple = 256;
  const std::int64_t four = 4 * options.hidden_size;
  const bool gated = ops::input_columns(options.ffn.form.activation) == 2;
  const std::int64_t least = gated ? (2 * four + 2) / 3 : four;
  return (least + kMultiple - 1) / kMultiple * kMultiple;
}

double mup_multiple(const ModelOptions& options) {
  if (!options.mup.on()) return 1.0;
  return static_cast<double>(options.hidden_size) / static_cast<double>(options.mup.base_width);
}

LogitOptions head_logits(const ModelOptions& options) {
  LogitOptions logits = options.logits;
  logits.scale /= mup_multiple(options);
  return logits;
}

}  // namespace troupe::model
