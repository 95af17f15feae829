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
  std::vector<float> sinks;  // [heads], or none

  [[nodiscard]] cuda::AttentionSizes sizes() const {
    return {shape.sequences, shape.length, shape.heads, shape.kv_heads, shape.head_dim};
  }
  [[nodiscard]] cuda::AttentionScores scores() const {
    return {static_cast<float>(shape.scale), static_cast<float>(shape.softcap), shape.alibi};
  }
  [[nodiscard]] const float* upload_sinks(Run& run) const {
    return sinks.empty() ? nullptr : run.upload(sinks);
  }
  [[nodiscard]] std::int64_t tokens() const { return shape.sequences * shape.length; }
  [[nodiscard]] std::int64_t query_columns() const { return shape.heads * shape.head_dim; }
  [[nodiscard]] std::int64_t key_columns() const { return shape.kv_heads * shape.head_dim; }
};

/// One call: its sizes and scores, and what varies beside them.
struct Call {
  ops::AttentionShape shape;
  std::int64_t document = 0;  // 0: one
  bool sinks = false;
};

Inputs inputs_of(const Call& call) {
  const auto& [shape, document, sinks] = call;
  const std::int64_t tokens = shape.sequences * shape.length;
  return {shape,
          first_visible_of(shape.sequences, shape.length, document),
          HostMatrix::random(tokens, shape.heads * shape.head_dim, 1),
          HostMatrix::random(tokens, shape.kv_heads * shape.head_dim, 2),
          HostMatrix::random(tokens, shape.kv_heads * shape.head_dim, 3),
          HostMatrix::random(tokens, shape.heads * shape.head_dim, 4),
          random_values(sinks ? shape.heads : 0, 5)};
}

struct Expected {
  std::vector<double> out, log_sum_exp, dq, dk, dv, dsinks;
};

Expected expected_of(const Inputs& inputs) {
  const std::int64_t queries = inputs.query_columns();
  const std::int64_t keys = inputs.key_columns();
  const auto q = inputs.q.f64();
  const auto k = inputs.k.f64();
  const auto v = inputs.v.f64();
  const auto dout = inputs.dout.f64();
  const std::vector<double> sinks(inputs.sinks.begin(), inputs.sinks.end());
  Expected expected{std::vector<double>(q.size()),
                    std::vector<double>(static_cast<std::size_t>(inputs.tokens() * inputs.shape.heads)),
                    std::vector<double>(q.size()),
                    std::vector<double>(k.size()),
                    std::vector<double>(v.size()),
                    std::vector<double>(sinks.size())};
  ops::reference::attention_forward<double>(
      inputs.shape, matrix_of(q, queries), matrix_of(k, keys), matrix_of(v, keys), inputs.first_visible,
      matrix_of(expected.out, queries), matrix_of(expected.log_sum_exp, inputs.shape.length), sinks);
  ops::reference::attention_backward<double>(
      inputs.shape, matrix_of(dout, queries), matrix_of(q, queries), matrix_of(k, keys), matrix_of(v, keys),
      matrix_of(expected.out, queries), matrix_of(expected.log_sum_exp, inputs.shape.length),
      inputs.first_visible, matrix_of(expected.dq, queries), matrix_of(expected.dk, keys),
      matrix_of(expected.dv, keys), sinks, expected.dsinks);
  return expected;
}

void check_forward(Run& run, const Call& call) {
  const Inputs inputs = inputs_of(call);
  const auto out = run.output(inputs.tokens(), inputs.query_columns());
  auto* log_sum_exp = run.output<float>(inputs.tokens() * call.shape.heads);
  cuda::attention_forward(run.stream(), {inputs.sizes(), run.upload(inputs.q), run.upload(inputs.k),
                                         run.upload(inputs.v), run.upload(inputs.first_visible), out,
                                         log_sum_exp, inputs.scores(), inputs.upload_sinks(run)});
  const Expected expected = expected_of(inputs);
  run.expect("out", out, expected.out, kTolerance);
  run.expect("log_sum_exp", log_sum_exp, expected.log_sum_exp, kTolerance);
}

/// Forward on the device first, so that no bit depends on the host's mathematics.
void check_backward(Run& run, const Call& call) {
  const Inputs inputs = inputs_of(call);
  const auto q = run.upload(inputs.q);
  const auto k = run.upload(inputs.k);
  const auto v = run.upload(inputs.v);
  const auto* first_visible = run.upload(inputs.first_visible);
  const auto out = run.output(inputs.tokens(), inputs.query_columns());
  auto* log_sum_exp = run.output<float>(inputs.tokens() * call.shape.heads);
  const float* sinks = inputs.upload_sinks(run);
  auto* dsinks = run.output<float>(std::ssize(inputs.sinks));
  cuda::attention_forward(run.stream(),
                          {inputs.sizes(), q, k, v, first_visible, out, log_sum_exp, inputs.scores(), sinks});
  const auto dq = run.output(inputs.tokens(), inputs.query_columns());
  const auto dk = run.output(inputs.tokens(), inputs.key_columns());
  const auto dv = run.output(inputs.tokens(), inputs.key_columns());
  cuda::attention_backward(
      run.stream(),
      {inputs.sizes(), run.upload(inputs.dout), q, k, v, out, log_sum_exp, first_visible, dq, dk, dv,
       run.output<float>(inputs.tokens() * call.shape.heads), inputs.scores(), sinks, dsinks});
  const Expected expected = expected_of(inputs);
  run.expect("dq", dq, expected.dq, kTolerance);
  run.expect("dk", dk, expected.dk, kTolerance);
  run.expect("dv", dv, expected.dv, kTolerance);
  if (!expected.dsinks.empty()) run.expect("dsinks", dsinks, expected.dsinks, kTolerance);
}

std::string name_of(const Call& call) {
  const ops::AttentionShape& shape = call.shape;
  auto name = fmt::format("{}x{} heads {}/{} of {} documents {}", shape.sequences, shape.length, shape.heads,
                          shape.kv_heads, shape.head_dim, call.document);
  if (shape.scale > 0.0) name += fmt::format(" scale {}", shape.scale);
  if (shape.softcap > 0.0) name += fmt::format(" cap {}", shape.softcap);
  if (shape.alibi) name += " alibi";
  if (call.sinks) name += " sinks";
  return name;
}

}  // namespace

void add_attention_cases(std::vector<Case>& cases) {
  const std::vector<Call> all{
      {{1, 1, 1, 1, 4}},
      {{2, 65, 4, 2, 16}},
      {{1, 130, 2, 1, 64}, 40},
      {{2, 64, 2, 2, 33}, 13},
      {{1, 67, 3, 1, 128}},
      {{1, 40, 2, 1, 200}, 17},
      {{1, 200, 1, 1, 8}, 3},
      {{0, 16, 2, 1, 8}},
      {{1, 300, 4, 2, 128}, 150},
      {{1, 257, 2, 1, 256}, 90},
      // Scores of other forms.
      {{.sequences = 2, .length = 65, .heads = 4, .kv_heads = 2, .head_dim = 16, .scale = 0.3}, 20, true},
      {{.sequences = 1, .length = 70, .heads = 3, .kv_heads = 1, .head_dim = 33, .softcap = 0.5}, 0, true},
      {{.sequences = 2, .length = 67, .heads = 6, .kv_heads = 3, .head_dim = 16, .alibi = true}, 25},
      {{.sequences = 1,
        .length = 40,
        .heads = 2,
        .kv_heads = 1,
        .head_dim = 128,
        .scale = 0.2,
        .softcap = 1.5,
        .alibi = true},
       17,
       true},
      {{.sequences = 1, .length = 35, .heads = 2, .kv_heads = 2, .head_dim = 200, .softcap = 3.0}},
      {{.sequences = 0, .length = 16, .heads = 2, .kv_heads = 1, .head_dim = 8, .alibi = true}, 0, true},
  };
  for (const Call& call : all) {
    const std::string name = name_of(call);
    cases.push_back({"attention_forward", name, [=](Run& run) { check_forward(run, call); }});
    cases.push_back({"attention_backward", name, [=](Run& run) { check_backward(run, call); }});
  }
}

}  // namespace troupe::op_check
