#include <cmath>

#include "op_check.h"
#include "tensor/cuda/elementwise.h"
#include "tensor/cuda/heads.h"
#include "tensor/cuda/layer_norm.h"
#include "tensor/ops/layer_norm/layer_norm_ref.h"
#include "tensor/ops/softcap/softcap_ref.h"

/// Ops that some of the published models' blocks have.
namespace troupe::op_check {
namespace {

constexpr double kTolerance = 3e-6;
constexpr double kEps = 1e-5;

std::vector<double> widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }

void check_layer_norm_forward(Run& run, std::int64_t rows, std::int64_t width, bool has_bias) {
  const auto x = HostMatrix::random(rows, width, 1);
  const auto weight = random_values(width, 2);
  const auto bias = random_values(has_bias ? width : 0, 3);
  const auto y = run.output(rows, width);
  auto* mean = run.output<float>(rows);
  auto* inv_std = run.output<float>(rows);
  cuda::layer_norm_forward(run.stream(),
                           {run.upload(x), run.upload(weight), has_bias ? run.upload(bias) : nullptr,
                            static_cast<float>(kEps), y, mean, inv_std});
  const auto x64 = x.f64();
  std::vector<double> expected(x64.size());
  std::vector<double> expected_mean(static_cast<std::size_t>(rows));
  std::vector<double> expected_inv_std(expected_mean.size());
  ops::reference::layer_norm_forward<double>(matrix_of(x64, width), widened(weight), widened(bias), kEps,
                                             matrix_of(expected, width), expected_mean, expected_inv_std);
  run.expect("y", y, expected, kTolerance);
  run.expect("mean", mean, expected_mean, kTolerance);
  run.expect("inv_std", inv_std, expected_inv_std, kTolerance);
}

/// In place where the gradient is not added.
void check_layer_norm_backward(Run& run, std::int64_t rows, std::int64_t width, bool accumulate) {
  const auto x = HostMatrix::random(rows, width, 1);
  const auto dy = HostMatrix::random(rows, width, 2);
  const auto dx = HostMatrix::random(rows, width, 3);
  const auto weight = random_values(width, 4);
  const auto mean = random_values(rows, 5);
  const auto inv_std = random_values(rows, 6);
  const auto device_dy = run.upload(dy);
  const auto device_dx = accumulate ? run.upload(dx) : device_dy;
  auto* dweight = run.output<float>(width);
  cuda::layer_norm_backward(run.stream(), {device_dy, run.upload(x), run.upload(weight), run.upload(mean),
                                           run.upload(inv_std), device_dx, accumulate, dweight,
                                           run.output<float>(cuda::layer_norm_chunks(rows) * width)});
  const auto x64 = x.f64();
  const auto dy64 = dy.f64();
  auto expected = dx.f64();
  std::vector<double> expected_dweight(weight.size());
  std::vector<double> expected_dbias(weight.size());
  ops::reference::layer_norm_backward<double>(matrix_of(dy64, width), matrix_of(x64, width), widened(weight),
                                              widened(mean), widened(inv_std), matrix_of(expected, width),
                                              expected_dweight, expected_dbias, accumulate);
  run.expect("dx", device_dx, expected, kTolerance);
  run.expect("dweight", dweight, expected_dweight, kTolerance);
}

void check_softcap(Run& run, std::int64_t count) {
  auto x = random_values(count, 1);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= i % 3 == 1 ? 100.0F : 3.0F;
  const auto dy = random_values(count, 2);
  const double factor = 0.5;
  const double cap = 4.0;
  auto* y = run.upload(x);
  cuda::softcap(run.stream(), factor, cap, y, count);
  auto* dx = run.upload(dy);
  cuda::softcap_backward(run.stream(), dx, y, factor, cap, dx, count);
  auto expected = widened(x);
  ops::reference::softcap<double>(factor, cap, expected);
  std::vector<double> expected_dx(expected.size());
  ops::reference::softcap_backward<double>(widened(dy), expected, factor, cap, expected_dx);
  run.expect("y", y, expected, kTolerance);
  run.expect("dx", dx, expected_dx, kTolerance);
}

void check_affine(Run& run, std::int64_t count) {
  const auto x = random_values(count, 1);
  auto* y = run.output<float>(count);
  cuda::affine(run.stream(), run.upload(x), 3.0F, 0.5F, y, count);
  std::vector<double> expected;
  for (const float value : x) expected.push_back(std::fmaf(value, 3.0F, 0.5F));
  run.expect("y", y, expected, 0.0);
}

void check_scale_rows(Run& run, std::int64_t rows, std::int64_t columns) {
  const auto factors = random_values(rows, 1);
  const auto x = HostMatrix::random(rows, columns, 2);
  const auto device_x = run.upload(x);
  cuda::scale_rows(run.stream(), run.upload(factors), device_x);
  auto expected = x.f64();
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] *= factors[i / static_cast<std::size_t>(columns)];
  run.expect("x", device_x, expected, 1e-7);
}

void check_temperatures(Run& run, std::int64_t count) {
  const auto positions = random_integers(count, 5000, 1);
  auto* factors = run.output<float>(count);
  cuda::temperatures(run.stream(), run.upload(positions), 0.1, 7, factors, count);
  std::vector<double> expected;
  for (const std::int32_t position : positions)
    expected.push_back(1.0 + 0.1 * std::log1p(static_cast<double>((position + 1) / 7)));
  run.expect("factors", factors, expected, 1e-7);
}

constexpr std::int64_t kHeads = 3;

/// Two channels of five to the middle of four; the others stay. With shared: the same two to every head.
void check_copy_heads(Run& run, std::int64_t tokens, bool shared) {
  const auto x = HostMatrix::random(tokens, kHeads * 5, 1);
  const auto out = HostMatrix::random(tokens, kHeads * 4, 2);
  const auto device_out = run.upload(out);
  const cuda::HeadChannels from{shared ? 0 : 5, 3};
  cuda::copy_heads(run.stream(), kHeads, 2, run.upload(x), from, device_out, {4, 1});
  const auto x64 = x.f64();
  auto expected = out.f64();
  for (std::int64_t i = 0; i < tokens * kHeads * 2; ++i) {
    const std::int64_t head = i / 2 % kHeads;
    const std::int64_t token = i / 2 / kHeads;
    expected[static_cast<std::size_t>((token * kHeads + head) * 4 + 1 + i % 2)] =
        x64[static_cast<std::size_t>(token * kHeads * 5 + head * from.dim + 3 + i % 2)];
  }
  run.expect("out", device_out, expected, 0.0);
}

/// Channels 1 and 2 of heads of four, in fp32 as the op adds them.
void check_sum_heads(Run& run, std::int64_t tokens) {
  const auto x = HostMatrix::random(tokens, kHeads * 4, 1);
  const auto out = run.output(tokens, 2);
  cuda::sum_heads(run.stream(), kHeads, run.upload(x), {4, 1}, out);
  const auto x64 = x.f64();
  std::vector<double> expected;
  for (std::int64_t i = 0; i < tokens * 2; ++i) {
    float sum = 0.0F;
    for (std::int64_t head = 0; head < kHeads; ++head)
      sum += static_cast<float>(x64[static_cast<std::size_t>((i / 2 * kHeads + head) * 4 + 1 + i % 2)]);
    expected.push_back(sum);
  }
  run.expect("out", out, expected, 0.0);
}

}  // namespace

void add_block_cases(std::vector<Case>& cases) {
  struct Size {
    std::int64_t rows;
    std::int64_t columns;
  };
  for (const auto& [rows, columns] : {Size{0, 5}, {3, 1}, {300, 70}}) {
    for (const bool flag : {false, true}) {
      const auto size = fmt::format("{}x{}", rows, columns);
      cases.push_back({"layer_norm_forward", size + (flag ? " bias" : ""),
                       [=](Run& run) { check_layer_norm_forward(run, rows, columns, flag); }});
      cases.push_back({"layer_norm_backward", size + (flag ? " added" : ""),
                       [=](Run& run) { check_layer_norm_backward(run, rows, columns, flag); }});
    }
    cases.push_back({"scale_rows", fmt::format("{}x{}", rows, columns),
                     [=](Run& run) { check_scale_rows(run, rows, columns); }});
  }
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{1}, std::int64_t{300}}) {
    const auto elements = fmt::format("{} elements", count);
    cases.push_back({"softcap", elements, [=](Run& run) { check_softcap(run, count); }});
    cases.push_back({"affine", elements, [=](Run& run) { check_affine(run, count); }});
    cases.push_back({"temperatures", elements, [=](Run& run) { check_temperatures(run, count); }});
    const auto tokens = fmt::format("{} tokens", count);
    cases.push_back({"copy_heads", tokens, [=](Run& run) { check_copy_heads(run, count, false); }});
    cases.push_back(
        {"copy_heads", tokens + " shared", [=](Run& run) { check_copy_heads(run, count, true); }});
    cases.push_back({"sum_heads", tokens, [=](Run& run) { check_sum_heads(run, count); }});
  }
}

}  // namespace troupe::op_check
