#include <algorithm>

#include "op_check.h"
#include "tensor/cuda/attention.h"
#include "tensor/ops/attention/attention_ref.h"

namespace troupe::op_check {
namespace {

constexpr double kTolerance = 1e-5;

/// What each token sees first when a document begins every `document` tokens, elsewhere in each sequence; 0:
/// one document.
std::vector<std::int32_t> first_visible_of(std::int64_t sequences, std::int64_t length,
                                           std::int64_t document) {
  std::vector<std::int32_t> first;
  for (std::int64_t s = 0; s < sequences; ++s) {
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t begin = document == 0 ? 0 : (t + s) / document * document - s;
      first.push_back(static_cast<std::int32_t>(std::max<std::int64_t>(0, begin)));
    }
  }
  return first;
}

struct Inputs {
  ops::AttentionShape shape;
  std::vector<std::int32_t> first_visible;
  HostMatrix q, k, v, dout;

  [[nodiscard]] cuda::AttentionSizes sizes() const {
    return {shape.sequences, shape.length, shape.heads, shape.kv_heads, shape.head_dim};
  }
  [[nodiscard]] std::int64_t tokens() const { return shape.sequences * shape.length; }
  [[nodiscard]] std::int64_t query_columns() const { return shape.heads * shape.head_dim; }
  [[nodiscard]] std::int64_t key_columns() const { return shape.kv_heads * shape.head_dim; }
};

Inputs inputs_of(const ops::AttentionShape& shape, std::int64_t document) {
  const std::int64_t tokens = shape.sequences * shape.length;
  return {shape,
          first_visible_of(shape.sequences, shape.length, document),
          HostMatrix::random(tokens, shape.heads * shape.head_dim, 1),
          HostMatrix::random(tokens, shape.kv_heads * shape.head_dim, 2),
          HostMatrix::random(tokens, shape.kv_heads * shape.head_dim, 3),
          HostMatrix::random(tokens, shape.heads * shape.head_dim, 4)};
}

struct Expected {
  std::vector<double> out, log_sum_exp, dq, dk, dv;
};

Expected expected_of(const Inputs& inputs) {
  const std::int64_t queries = inputs.query_columns();
  const std::int64_t keys = inputs.key_columns();
  const auto q = inputs.q.f64();
  const auto k = inputs.k.f64();
  const auto v = inputs.v.f64();
  const auto dout = inputs.dout.f64();
  Expected expected{std::vector<double>(q.size()),
                    std::vector<double>(static_cast<std::size_t>(inputs.tokens() * inputs.shape.heads)),
                    std::vector<double>(q.size()), std::vector<double>(k.size()),
                    std::vector<double>(v.size())};
  ops::reference::attention_forward<double>(
      inputs.shape, matrix_of(q, queries), matrix_of(k, keys), matrix_of(v, keys), inputs.first_visible,
      matrix_of(expected.out, queries), matrix_of(expected.log_sum_exp, inputs.shape.length));
  ops::reference::attention_backward<double>(
      inputs.shape, matrix_of(dout, queries), matrix_of(q, queries), matrix_of(k, keys), matrix_of(v, keys),
      matrix_of(expected.out, queries), matrix_of(expected.log_sum_exp, inputs.shape.length),
      inputs.first_visible, matrix_of(expected.dq, queries), matrix_of(expected.dk, keys),
      matrix_of(expected.dv, keys));
  return expected;
}

void check_forward(Run& run, const ops::AttentionShape& shape, std::int64_t document) {
  const Inputs inputs = inputs_of(shape, document);
  const auto out = run.output(inputs.tokens(), inputs.query_columns());
  auto* log_sum_exp = run.output<float>(inputs.tokens() * shape.heads);
  cuda::attention_forward(run.stream(),
                          {inputs.sizes(), run.upload(inputs.q), run.upload(inputs.k), run.upload(inputs.v),
                           run.upload(inputs.first_visible), out, log_sum_exp});
  const Expected expected = expected_of(inputs);
  run.expect("out", out, expected.out, kTolerance);
  run.expect("log_sum_exp", log_sum_exp, expected.log_sum_exp, kTolerance);
}

/// Forward on the device first, so that no bit depends on the host's mathematics.
void check_backward(Run& run, const ops::AttentionShape& shape, std::int64_t document) {
  const Inputs inputs = inputs_of(shape, document);
  const auto q = run.upload(inputs.q);
  const auto k = run.upload(inputs.k);
  const auto v = run.upload(inputs.v);
  const auto* first_visible = run.upload(inputs.first_visible);
  const auto out = run.output(inputs.tokens(), inputs.query_columns());
  auto* log_sum_exp = run.output<float>(inputs.tokens() * shape.heads);
  cuda::attention_forward(run.stream(), {inputs.sizes(), q, k, v, first_visible, out, log_sum_exp});
  const auto dq = run.output(inputs.tokens(), inputs.query_columns());
  const auto dk = run.output(inputs.tokens(), inputs.key_columns());
  const auto dv = run.output(inputs.tokens(), inputs.key_columns());
  cuda::attention_backward(
      run.stream(), {inputs.sizes(), run.upload(inputs.dout), q, k, v, out, log_sum_exp, first_visible, dq,
                     dk, dv, run.output<float>(inputs.tokens() * shape.heads)});
  const Expected expected = expected_of(inputs);
  run.expect("dq", dq, expected.dq, kTolerance);
  run.expect("dk", dk, expected.dk, kTolerance);
  run.expect("dv", dv, expected.dv, kTolerance);
}

}  // namespace

void add_attention_cases(std::vector<Case>& cases) {
  struct Named {
    ops::AttentionShape shape;
    std::int64_t document;  // 0: one
  };
  const std::vector<Named> all{
      {{1, 1, 1, 1, 4}, 0},      {{2, 65, 4, 2, 16}, 0},  {{1, 130, 2, 1, 64}, 40},
      {{2, 64, 2, 2, 33}, 13},   {{1, 67, 3, 1, 128}, 0}, {{1, 40, 2, 1, 200}, 17},
      {{1, 200, 1, 1, 8}, 3},    {{0, 16, 2, 1, 8}, 0},   {{1, 300, 4, 2, 128}, 150},
      {{1, 257, 2, 1, 256}, 90},
  };
  for (const auto& [shape, document] : all) {
    const auto name = fmt::format("{}x{} heads {}/{} of {} documents {}", shape.sequences, shape.length,
                                  shape.heads, shape.kv_heads, shape.head_dim, document);
    cases.push_back({"attention_forward", name, [=](Run& run) { check_forward(run, shape, document); }});
    cases.push_back({"attention_backward", name, [=](Run& run) { check_backward(run, shape, document); }});
  }
}

}  // namespace troupe::op_check
