#include "experts/router/input_jitter.h"

#include "base/index.h"
#include "base/random.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kWords = 4;  // of one index: factors of as many neighbours

}  // namespace

/// Calls store(token, i, factor) for every element.
template <class Store>
void InputJitter::for_factors(const Pass& pass, ConstTensorView x, const Store& store) const {
  const Random random(pass.seed, RandomPurpose::kRouterJitter, layer_);
  const std::int64_t hidden = x.columns();
  const std::int64_t indices = (hidden + kWords - 1) / kWords;
  for_tokens(pass.execution, x.rows(), [&](std::int64_t token, std::int64_t) {
    const std::int64_t first = (pass.microbatch.first_token + token) * indices;
    for (std::int64_t i = 0; i < hidden; i += kWords) {
      const auto words = random.words(static_cast<std::uint64_t>(first + i / kWords));
      for (std::int64_t j = i; j < std::min(hidden, i + kWords); ++j) {
        const auto uniform = static_cast<float>(words[at(j - i)] >> 8) * 0x1p-24F;
        store(token, at(j), 1.0F + epsilon_ * (2.0F * uniform - 1.0F));
      }
    }
  });
}

void InputJitter::scale(const Pass& pass, ConstTensorView x, TensorView y) const {
  for_factors(pass, x, [&](std::int64_t token, std::size_t i, float factor) {
    row(y, token)[i] = row(x, token)[i] * factor;
  });
}

void InputJitter::add_scaled(const Pass& pass, ConstTensorView x, TensorView y) const {
  for_factors(pass, x, [&](std::int64_t token, std::size_t i, float factor) {
    row(y, token)[i] += row(x, token)[i] * factor;
  });
}

}  // namespace troupe::experts
