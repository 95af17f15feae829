#include "tensor/ops/numerics_fingerprint.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/index.h"
#include "base/random.h"
#include "tensor/ops/activation/activation.h"
#include "tensor/ops/adamw/adamw.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/bias/bias.h"
#include "tensor/ops/cross_entropy/cross_entropy.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/embedding/embedding.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/layer_norm/layer_norm.h"
#include "tensor/ops/rms_norm/rms_norm.h"
#include "tensor/ops/rope/rope.h"
#include "tensor/ops/softcap/softcap.h"

namespace troupe::ops {
namespace {

constexpr Execution kOneThread{1};

class Hash {
 public:
  Hash() : state_(XXH3_createState()) {
    TROUPE_CHECK(state_ != nullptr && XXH3_64bits_reset(state_.get()) == XXH_OK, "cannot start an XXH3 hash");
  }
  void add(const Tensor& tensor) { add(tensor.floats()); }
  template <class T>
  void add(std::span<const T> values) {
    TROUPE_CHECK(XXH3_64bits_update(state_.get(), values.data(), values.size_bytes()) == XXH_OK,
                 "XXH3 failed");
  }
  [[nodiscard]] std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

/// Uniform in [-1, 1); every call draws others.
class Inputs {
 public:
  Tensor reals(const Shape& shape) {
    const Random random(0, RandomPurpose::kTest, stream_++);
    Tensor tensor(shape);
    for (std::int64_t i = 0; i < tensor.elements(); i += 4) {
      const auto words = random.words(static_cast<std::uint64_t>(i));
      for (std::int64_t j = i; j < std::min(i + 4, tensor.elements()); ++j) {
        tensor.f32()[j] = static_cast<float>(words[at(j - i)]) * 0x1.0p-31F - 1.0F;
      }
    }
    return tensor;
  }
  Tensor integers(std::int64_t count, std::uint64_t bound) {
    const Random random(0, RandomPurpose::kTest, stream_++);
    Tensor tensor(Shape{count}, DType::kI32);
    for (std::int64_t i = 0; i < count; ++i) {
      tensor.i32()[i] = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(i), bound));
    }
    return tensor;
  }

 private:
  std::uint32_t stream_ = 0;
};

// Shapes of one tile and of several, of whole vectors and of tails, in all transposes.
void hash_gemm(Inputs& inputs, Hash& hash) {
  for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{7, 33, 65}, {64, 64, 128}, {272, 528, 240}}) {
    for (const Transpose a : {Transpose::kNo, Transpose::kYes}) {
      for (const Transpose b : {Transpose::kNo, Transpose::kYes}) {
        Tensor c = inputs.reals(Shape{m, n});
        gemm(kOneThread, a, b, inputs.reals(a == Transpose::kYes ? Shape{k, m} : Shape{m, k}),
             inputs.reals(b == Transpose::kYes ? Shape{n, k} : Shape{k, n}), c, Accumulate::kYes);
        hash.add(c);
      }
    }
  }
}

void hash_attention(const AttentionShape& shape, ConstTensorView sinks, Inputs& inputs, Hash& hash) {
  const Shape q_shape{shape.length, shape.heads * shape.head_dim};
  const Shape kv_shape{shape.length, shape.kv_heads * shape.head_dim};
  const Tensor q = inputs.reals(q_shape);
  const Tensor k = inputs.reals(kv_shape);
  const Tensor v = inputs.reals(kv_shape);
  Tensor first_visible(Shape{shape.length}, DType::kI32);
  for (std::int64_t i = 0; i < shape.length; ++i) first_visible.i32()[i] = i < 70 ? 0 : 70;
  Tensor out(q_shape);
  Tensor log_sum_exp(Shape{shape.heads, shape.length});
  attention_forward(kOneThread, shape, q, k, v, first_visible, out, log_sum_exp, sinks);
  Tensor dq(q_shape);
  Tensor dk(kv_shape);
  Tensor dv(kv_shape);
  Tensor dsinks(Shape{shape.heads});
  Arena arena(std::size_t{1} << 20);
  attention_backward(kOneThread, arena, shape, inputs.reals(q_shape), q, k, v, out, log_sum_exp,
                     first_visible, dq, dk, dv, sinks, dsinks);
  for (const Tensor* tensor : {&out, &log_sum_exp, &dq, &dk, &dv, &dsinks}) hash.add(*tensor);
}

void hash_attentions(Inputs& inputs, Hash& hash) {
  AttentionShape shape{.sequences = 1, .length = 150, .heads = 2, .kv_heads = 1, .head_dim = 36};
  hash_attention(shape, {}, inputs, hash);
  shape.scale = 0.2;
  shape.softcap = 1.5;
  shape.alibi = true;
  const Tensor sinks = inputs.reals(Shape{shape.heads});
  hash_attention(shape, sinks, inputs, hash);
}

void hash_norm(Inputs& inputs, Hash& hash) {
  const Tensor x = inputs.reals(Shape{5, 70});
  const Tensor weight = inputs.reals(Shape{70});
  Tensor y(x.shape());
  Tensor inv_rms(Shape{5});
  Tensor dx(x.shape());
  Tensor dweight(Shape{70});
  rms_norm_forward(kOneThread, x, weight, 1e-5, y, inv_rms);
  rms_norm_backward(kOneThread, y, x, weight, inv_rms, dx, dweight, false);
  for (const Tensor* tensor : {&y, &inv_rms, &dx, &dweight}) hash.add(*tensor);
  Tensor mean(Shape{5});
  Tensor dbias(Shape{70});
  layer_norm_forward(kOneThread, x, weight, weight, 1e-5, y, mean, inv_rms);
  layer_norm_backward(kOneThread, y, x, weight, mean, inv_rms, dx, dweight, dbias, false);
  softcap(kOneThread, 0.5, 1.5, y);
  softcap_backward(kOneThread, dx, y, 0.5, 1.5, dx);
  for (const Tensor* tensor : {&y, &mean, &inv_rms, &dx, &dweight, &dbias}) hash.add(*tensor);
}

void hash_feed_forward(Inputs& inputs, Hash& hash) {
  for (const Activation activation :
       {Activation::kSwiGlu, Activation::kGeGlu, Activation::kReGlu, Activation::kRelu2, Activation::kGelu,
        Activation::kClampedSwiGlu, Activation::kGeGluTanh, Activation::kGeluTanh, Activation::kRelu,
        Activation::kSilu}) {
    Tensor x = inputs.reals(Shape{5, input_columns(activation) * 35});
    Tensor y(Shape{5, 35});
    add_bias(kOneThread, inputs.reals(Shape{x.shape()[1]}), x);
    activation_forward(kOneThread, activation, x, y);
    hash.add(y);
    activation_backward(kOneThread, activation, y, x, x);
    hash.add(x);
  }
  Tensor dbias(Shape{70});
  bias_gradient(kOneThread, inputs.reals(Shape{5, 70}), dbias);
  hash.add(dbias);
}

void hash_positions_and_tokens(Inputs& inputs, Hash& hash) {
  const RopeTable table(64, 36, 10000.0);
  Tensor x = inputs.reals(Shape{9, 80});
  rope(kOneThread, table, inputs.integers(9, 64), 40, RopeDirection::kForward, x);
  hash.add(x);
  const RopeTable neighbours(64, std::vector<double>{1.0, 0.3, 0.1, 0.03, 0.01}, 1.2,
                             RopePairing::kInterleaved);
  rope(kOneThread, neighbours, inputs.integers(9, 64), 40, RopeDirection::kForward, x);
  hash.add(x);
  Tensor dtable = inputs.reals(Shape{4, 80});
  embedding_backward(kOneThread, inputs.integers(9, 4), x, dtable);
  hash.add(dtable);
}

void hash_loss(Inputs& inputs, Hash& hash) {
  Tensor logits = inputs.reals(Shape{6, 1003});
  std::vector<double> nll(6);
  std::vector<double> log_z(6);
  cross_entropy_forward_backward(kOneThread, logits, inputs.integers(6, 1003), 0.3F, 1e-3F, nll, log_z);
  hash.add(logits);
  hash.add(std::span<const double>(nll));
  hash.add(std::span<const double>(log_z));
}

void hash_slots(Inputs& inputs, Hash& hash) {
  constexpr std::int64_t kTokens = 6;
  constexpr std::int64_t kTopK = 2;
  const Tensor y = inputs.reals(Shape{kTokens * kTopK, 70});
  const Tensor weights = inputs.reals(Shape{kTokens, kTopK});
  Tensor slots(Shape{kTokens, kTopK}, DType::kI32);
  for (std::int32_t i = 0; i < kTokens * kTopK; ++i) slots.i32()[i] = i * 5 % (kTokens * kTopK);
  Tensor out(Shape{kTokens, 70});
  Tensor dy(y.shape());
  Tensor dweights(weights.shape());
  combine_rows(kOneThread, y, slots, weights, inputs.reals(out.shape()), out);
  combine_rows_backward(kOneThread, out, y, slots, weights, dy, dweights);
  scatter_slots_add(kOneThread, dy, slots, out);
  for (const Tensor* tensor : {&out, &dy, &dweights}) hash.add(*tensor);
}

void hash_update(Inputs& inputs, Hash& hash) {
  Tensor value = inputs.reals(Shape{1003});
  const Tensor gradient = inputs.reals(Shape{1003});
  Tensor first(Shape{1003});
  Tensor second(Shape{1003});
  for (std::int64_t number = 1; number <= 2; ++number) {
    const AdamWStep step{1e-3, 0.9, 0.95, 1e-8, 0.1, number, 0.7F};
    adamw(kOneThread, step, value.floats(), gradient.floats(), first.floats(), second.floats());
  }
  for (const Tensor* tensor : {&value, &first, &second}) hash.add(*tensor);
  const double squares = sum_of_squares(value.floats());
  hash.add(std::span<const double>(&squares, 1));
}

}  // namespace

std::uint64_t numerics_fingerprint() {
  Inputs inputs;
  Hash hash;
  for (const auto& part : {hash_gemm, hash_attentions, hash_norm, hash_feed_forward,
                           hash_positions_and_tokens, hash_loss, hash_slots, hash_update}) {
    part(inputs, hash);
  }
  return hash.value();
}

}  // namespace troupe::ops
