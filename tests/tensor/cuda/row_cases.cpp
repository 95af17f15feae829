#include "op_check.h"
#include "tensor/cuda/activation.h"
#include "tensor/cuda/bias.h"
#include "tensor/cuda/embedding.h"
#include "tensor/cuda/rms_norm.h"
#include "tensor/cuda/rope.h"
#include "tensor/ops/activation/activation_ref.h"
#include "tensor/ops/bias/bias_ref.h"
#include "tensor/ops/embedding/embedding_ref.h"
#include "tensor/ops/rms_norm/rms_norm_ref.h"
#include "tensor/ops/rope/rope.h"
#include "tensor/ops/rope/rope_ref.h"

namespace troupe::op_check {
namespace {

constexpr double kTolerance = 3e-6;
constexpr double kEps = 1e-5;

std::vector<double> widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// A matrix as the heads of its rows.
cuda::Heads<float> heads_of(const cuda::Matrix<float>& matrix, std::int64_t heads) {
  return {matrix.data, matrix.rows, heads, matrix.columns / heads, matrix.stride};
}

void check_rms_norm_forward(Run& run, std::int64_t tokens, std::int64_t heads, std::int64_t width,
                            bool residual) {
  const auto x = HostMatrix::random(tokens, heads * width, 1);
  const auto before = HostMatrix::random(tokens, heads * width, 2);
  const auto weight = random_values(width, 3);
  const auto y = run.output(tokens, heads * width);
  const auto stored = run.output(tokens, heads * width);
  auto* inv_rms = run.output<float>(tokens * heads);
  cuda::rms_norm_forward(
      run.stream(),
      {heads_of(run.upload(x), heads), residual ? heads_of(run.upload(before), heads) : cuda::Heads<float>{},
       heads_of(stored, heads), run.upload(weight), static_cast<float>(kEps), heads_of(y, heads), inv_rms});
  auto input = x.f64();
  if (residual) {
    const auto added = before.f64();
    for (std::size_t i = 0; i < input.size(); ++i) input[i] += added[i];
    run.expect("stored", stored, input, 1e-7);
  }
  std::vector<double> expected(input.size());
  std::vector<double> expected_inv_rms(static_cast<std::size_t>(tokens * heads));
  const auto weight64 = widened(weight);
  ops::reference::rms_norm_forward<double>(matrix_of(std::as_const(input), width), weight64, kEps,
                                           matrix_of(expected, width), expected_inv_rms);
  run.expect("y", y, expected, kTolerance);
  run.expect("inv_rms", inv_rms, expected_inv_rms, kTolerance);
}

void check_rms_norm_backward(Run& run, std::int64_t tokens, std::int64_t heads, std::int64_t width,
                             bool accumulate, bool in_place) {
  const auto x = HostMatrix::random(tokens, heads * width, 1);
  const auto dy = HostMatrix::random(tokens, heads * width, 2);
  const auto dx = HostMatrix::random(tokens, heads * width, 3);
  const auto weight = random_values(width, 4);
  const auto x64 = x.f64();
  const auto dy64 = dy.f64();
  const auto weight64 = widened(weight);
  std::vector<double> y(x64.size());
  std::vector<double> inv_rms(static_cast<std::size_t>(tokens * heads));
  ops::reference::rms_norm_forward<double>(matrix_of(x64, width), weight64, kEps, matrix_of(y, width),
                                           inv_rms);

  const std::vector<float> inv_rms32(inv_rms.begin(), inv_rms.end());
  const auto device_dy = run.upload(dy);
  const auto device_dx = in_place ? device_dy : run.upload(dx);
  auto* dweight = run.output<float>(width);
  cuda::rms_norm_backward(run.stream(),
                          {heads_of(device_dy, heads), heads_of(run.upload(x), heads), run.upload(weight),
                           run.upload(inv_rms32), heads_of(device_dx, heads), accumulate, dweight,
                           run.output<float>(cuda::rms_norm_chunks(tokens * heads) * width)});
  auto expected = dx.f64();
  std::vector<double> expected_dweight(static_cast<std::size_t>(width));
  ops::reference::rms_norm_backward<double>(matrix_of(dy64, width), matrix_of(x64, width), weight64, inv_rms,
                                            matrix_of(expected, width), expected_dweight, accumulate);
  run.expect("dx", device_dx, expected, kTolerance);
  run.expect("dweight", dweight, expected_dweight, kTolerance);
}

/// In steps of 2^-16, so that no bit depends on the host's mathematics.
std::vector<float> coarse(std::vector<float> values) {
  for (float& value : values) value = std::round(value * 0x1p16F) * 0x1p-16F;
  return values;
}

void check_rope(Run& run, std::int64_t tokens, std::int64_t heads, std::int64_t head_dim, std::int64_t rotary,
                bool backward, bool interleaved = false) {
  constexpr std::int64_t kPositions = 50;
  const ops::RopeTable table(kPositions, rotary, 10000.0);
  const std::int64_t half = rotary / 2;
  const auto cosine = coarse({table.cosine(0), table.cosine(0) + kPositions * half});
  const auto sine = coarse({table.sine(0), table.sine(0) + kPositions * half});
  const auto positions = random_integers(tokens, kPositions, 1);
  const auto x = HostMatrix::random(tokens, heads * head_dim, 2);
  const auto device_x = run.upload(x);
  cuda::rope(run.stream(), {run.upload(cosine), run.upload(sine), rotary, run.upload(positions),
                            heads_of(device_x, heads), backward, interleaved});
  auto expected = x.f64();
  const auto cosine64 = widened(cosine);
  const auto sine64 = widened(sine);
  ops::reference::rope<double>({cosine64.data(), kPositions, half, half},
                               {sine64.data(), kPositions, half, half}, positions, head_dim,
                               backward ? ops::RopeDirection::kBackward : ops::RopeDirection::kForward,
                               matrix_of(expected, heads * head_dim),
                               interleaved ? ops::RopePairing::kInterleaved : ops::RopePairing::kHalves);
  run.expect("x", device_x, expected, kTolerance);
}

/// Values beyond ±7 too, where the clamped form has corners.
HostMatrix activation_input(std::int64_t rows, std::int64_t columns) {
  auto x = HostMatrix::random(rows, columns, 1);
  for (std::int64_t i = 0; i < std::ssize(x.values); ++i) {
    if (i % x.stride < columns) x.values[static_cast<std::size_t>(i)] *= i % 3 == 0 ? 20.0F : 2.0F;
  }
  return x;
}

void check_activation_forward(Run& run, ops::Activation activation, std::int64_t tokens, std::int64_t size) {
  const std::int64_t columns = ops::input_columns(activation) * size;
  const auto x = activation_input(tokens, columns);
  const auto y = run.output(tokens, size);
  cuda::activation_forward(run.stream(), activation, run.upload(x), y);
  const auto x64 = x.f64();
  std::vector<double> expected(static_cast<std::size_t>(tokens * size));
  ops::reference::activation_forward<double>(activation, matrix_of(x64, columns), matrix_of(expected, size));
  run.expect("y", y, expected, kTolerance);
}

void check_activation_backward(Run& run, ops::Activation activation, std::int64_t tokens, std::int64_t size,
                               bool in_place) {
  const std::int64_t columns = ops::input_columns(activation) * size;
  const auto x = activation_input(tokens, columns);
  const auto dy = HostMatrix::random(tokens, size, 2);
  const auto device_x = run.upload(x);
  const auto dx = in_place ? device_x : run.output(tokens, columns);
  cuda::activation_backward(run.stream(), activation, run.upload(dy), device_x, dx);
  const auto x64 = x.f64();
  const auto dy64 = dy.f64();
  std::vector<double> expected(x64.size());
  ops::reference::activation_backward<double>(activation, matrix_of(dy64, size), matrix_of(x64, columns),
                                              matrix_of(expected, columns));
  run.expect("dx", dx, expected, kTolerance);
}

void check_bias(Run& run, std::int64_t rows, std::int64_t columns) {
  const auto bias = random_values(columns, 1);
  const auto y = HostMatrix::random(rows, columns, 2);
  const auto device_y = run.upload(y);
  cuda::add_bias(run.stream(), run.upload(bias), device_y);
  auto expected = y.f64();
  const auto bias64 = widened(bias);
  ops::reference::add_bias<double>(bias64, matrix_of(expected, columns));
  run.expect("y", device_y, expected, kTolerance);
}

void check_bias_gradient(Run& run, std::int64_t rows, std::int64_t columns, bool accumulate) {
  const auto dy = HostMatrix::random(rows, columns, 1);
  const auto before = random_values(columns, 2);
  auto* dbias = run.upload(before);
  cuda::bias_gradient(run.stream(), run.upload(dy), accumulate, dbias,
                      run.output<float>(cuda::bias_chunks(rows) * columns));
  auto expected = accumulate ? widened(before) : std::vector<double>(before.size());
  const auto dy64 = dy.f64();
  ops::reference::add_bias_gradient<double>(matrix_of(dy64, columns), std::span<double>(expected));
  run.expect("dbias", dbias, expected, kTolerance);
}

void check_embedding(Run& run, std::int64_t tokens, std::int32_t vocab, std::int64_t hidden) {
  const auto ids = random_integers(tokens, vocab, 1);
  const auto table = HostMatrix::random(vocab, hidden, 2);
  const auto out = run.output(tokens, hidden);
  cuda::embedding_forward(run.stream(), run.upload(ids), run.upload(table), out);
  const auto table64 = table.f64();
  std::vector<double> expected(static_cast<std::size_t>(tokens * hidden));
  ops::reference::embedding_forward<double>(ids, matrix_of(table64, hidden), matrix_of(expected, hidden));
  run.expect("out", out, expected, 0.0);
}

void check_embedding_backward(Run& run, std::int64_t tokens, std::int32_t vocab, std::int64_t hidden) {
  const auto ids = random_integers(tokens, vocab, 1);
  const auto dout = HostMatrix::random(tokens, hidden, 2);
  const auto dtable = HostMatrix::random(vocab, hidden, 3);
  const auto device_dtable = run.upload(dtable);
  cuda::embedding_backward(run.stream(), run.upload(ids), run.upload(dout), device_dtable,
                           run.output<std::int32_t>(cuda::embedding_backward_scratch(tokens)));
  const auto dout64 = dout.f64();
  auto expected = dtable.f64();
  ops::reference::embedding_backward<double>(ids, matrix_of(dout64, hidden), matrix_of(expected, hidden));
  run.expect("dtable", device_dtable, expected, kTolerance);
}

void add_norm_cases(std::vector<Case>& cases) {
  struct Sizes {
    std::int64_t tokens, heads, width;
  };
  for (const auto& [tokens, heads, width] :
       {Sizes{5, 1, 64}, {300, 1, 7}, {9, 3, 33}, {0, 1, 8}, {130, 2, 300}}) {
    const auto name = fmt::format("{} tokens {} heads of {}", tokens, heads, width);
    for (const bool flag : {false, true}) {
      cases.push_back({"rms_norm_forward", name + (flag ? " with residual" : ""),
                       [=](Run& run) { check_rms_norm_forward(run, tokens, heads, width, flag); }});
      cases.push_back({"rms_norm_backward", name + (flag ? " added" : " in place"),
                       [=](Run& run) { check_rms_norm_backward(run, tokens, heads, width, flag, !flag); }});
    }
  }
}

void add_activation_cases(std::vector<Case>& cases) {
  struct Named {
    ops::Activation activation;
    const char* name;
  };
  for (const auto& [activation, name] : {Named{ops::Activation::kSwiGlu, "swiglu"},
                                         {ops::Activation::kGeGluTanh, "geglu_tanh"},
                                         {ops::Activation::kReGlu, "reglu"},
                                         {ops::Activation::kRelu2, "relu2"},
                                         {ops::Activation::kGeluTanh, "gelu_tanh"},
                                         {ops::Activation::kRelu, "relu"},
                                         {ops::Activation::kSilu, "silu"},
                                         {ops::Activation::kClampedSwiGlu, "clamped_swiglu"}}) {
    for (const std::int64_t tokens : {std::int64_t{0}, std::int64_t{37}}) {
      const auto of = fmt::format("{} {} tokens", name, tokens);
      cases.push_back({"activation_forward", of,
                       [=](Run& run) { check_activation_forward(run, activation, tokens, 65); }});
      cases.push_back({"activation_backward", of, [=](Run& run) {
                         check_activation_backward(run, activation, tokens, 65, tokens == 37);
                       }});
    }
  }
}

}  // namespace

void add_row_cases(std::vector<Case>& cases) {
  add_norm_cases(cases);
  add_activation_cases(cases);
  for (const bool backward : {false, true}) {
    const char* direction = backward ? " back" : "";
    cases.push_back({"rope", fmt::format("33 tokens 3 heads of 10, 6 rotated{}", direction),
                     [=](Run& run) { check_rope(run, 33, 3, 10, 6, backward); }});
    cases.push_back({"rope", fmt::format("33 tokens 3 heads of 10, 6 rotated, interleaved{}", direction),
                     [=](Run& run) { check_rope(run, 33, 3, 10, 6, backward, true); }});
    cases.push_back({"rope", fmt::format("5 tokens 2 heads of 128{}", direction),
                     [=](Run& run) { check_rope(run, 5, 2, 128, 128, backward); }});
    cases.push_back({"bias_gradient", fmt::format("300x70{}", backward ? " added" : ""),
                     [=](Run& run) { check_bias_gradient(run, 300, 70, backward); }});
    cases.push_back({"bias_gradient", fmt::format("0x5{}", backward ? " added" : ""),
                     [=](Run& run) { check_bias_gradient(run, 0, 5, backward); }});
  }
  cases.push_back({"add_bias", "33x70", [](Run& run) { check_bias(run, 33, 70); }});
  cases.push_back({"add_bias", "0x5", [](Run& run) { check_bias(run, 0, 5); }});
  struct Sizes {
    std::int64_t tokens;
    std::int32_t vocab;
    std::int64_t hidden;
  };
  for (const auto& [tokens, vocab, hidden] :
       {Sizes{600, 7, 33}, {40, 1000, 300}, {0, 5, 8}, {2000, 3000, 1030}, {700, 1, 1028}}) {
    const auto name = fmt::format("{} tokens of {} hidden {}", tokens, vocab, hidden);
    cases.push_back(
        {"embedding_forward", name, [=](Run& run) { check_embedding(run, tokens, vocab, hidden); }});
    cases.push_back({"embedding_backward", name,
                     [=](Run& run) { check_embedding_backward(run, tokens, vocab, hidden); }});
  }
}

}  // namespace troupe::op_check
