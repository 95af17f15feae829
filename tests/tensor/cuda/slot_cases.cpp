#include "op_check.h"
#include "tensor/cuda/slots.h"
#include "tensor/ops/elementwise/elementwise_ref.h"

namespace troupe::op_check {
namespace {

constexpr double kTolerance = 3e-6;

struct Sizes {
  std::int64_t tokens, slots, hidden;
};

/// Every slot with its own row, every sixth empty.
struct Routed {
  std::vector<std::int32_t> slots;   // [tokens, slots]
  std::vector<std::int32_t> tokens;  // [rows]
  std::vector<std::int32_t> pairs;   // [rows]

  [[nodiscard]] std::int64_t rows() const { return std::ssize(pairs); }
};

Routed routed(const Sizes& sizes) {
  Routed result{std::vector<std::int32_t>(static_cast<std::size_t>(sizes.tokens * sizes.slots), -1), {}, {}};
  const std::int64_t pairs = sizes.tokens * sizes.slots;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t pair = pairs - 1 - i;  // rows in another order than slots
    if (pair % 6 == 4) continue;
    result.slots[static_cast<std::size_t>(pair)] = static_cast<std::int32_t>(result.rows());
    result.pairs.push_back(static_cast<std::int32_t>(pair));
    result.tokens.push_back(static_cast<std::int32_t>(pair / sizes.slots));
  }
  return result;
}

cuda::Matrix<std::int32_t> slots_on_device(Run& run, const Sizes& sizes, const Routed& routed) {
  return {run.upload(routed.slots), sizes.tokens, sizes.slots, sizes.slots};
}
ops::reference::Slots slots_on_host(const Sizes& sizes, const Routed& routed) {
  return {routed.slots.data(), sizes.tokens, sizes.slots, sizes.slots};
}

void check_gather(Run& run, const Sizes& sizes, bool weighted) {
  const Routed to = routed(sizes);
  const auto x = HostMatrix::random(sizes.tokens, sizes.hidden, 1);
  const auto weights = random_values(sizes.tokens * sizes.slots, 2);
  const auto out = run.output(to.rows(), sizes.hidden);
  cuda::gather_rows(run.stream(), run.upload(x), run.upload(to.tokens),
                    weighted ? run.upload(weights) : nullptr, run.upload(to.pairs), out);
  const auto x64 = x.f64();
  std::vector<double> expected;
  for (std::size_t row = 0; row < to.pairs.size(); ++row) {
    const double weight = weighted ? weights[static_cast<std::size_t>(to.pairs[row])] : 1.0;
    for (std::int64_t j = 0; j < sizes.hidden; ++j)
      expected.push_back(weight * x64[static_cast<std::size_t>(to.tokens[row] * sizes.hidden + j)]);
  }
  run.expect("out", out, expected, weighted ? kTolerance : 0.0);
}

void check_combine(Run& run, const Sizes& sizes, bool with_base) {
  const Routed to = routed(sizes);
  const auto y = HostMatrix::random(to.rows(), sizes.hidden, 1);
  const auto weights = HostMatrix::random(sizes.tokens, sizes.slots, 2);
  const auto base = HostMatrix::random(sizes.tokens, sizes.hidden, 3);
  const auto out = run.output(sizes.tokens, sizes.hidden);
  cuda::combine_rows(run.stream(), run.upload(y), slots_on_device(run, sizes, to), run.upload(weights),
                     with_base ? run.upload(base) : cuda::Matrix<float>{}, out);
  const auto y64 = y.f64();
  const auto weights64 = weights.f64();
  const auto base64 = base.f64();
  std::vector<double> expected(static_cast<std::size_t>(sizes.tokens * sizes.hidden));
  ops::reference::combine_rows<double>(
      matrix_of(y64, sizes.hidden), slots_on_host(sizes, to), matrix_of(weights64, sizes.slots),
      with_base ? matrix_of(base64, sizes.hidden) : ops::Matrix<const double>{},
      matrix_of(expected, sizes.hidden));
  run.expect("out", out, expected, kTolerance);
}

void check_combine_backward(Run& run, const Sizes& sizes) {
  const Routed to = routed(sizes);
  const auto dout = HostMatrix::random(sizes.tokens, sizes.hidden, 1);
  const auto y = HostMatrix::random(to.rows(), sizes.hidden, 2);
  const auto weights = HostMatrix::random(sizes.tokens, sizes.slots, 3);
  const auto dy = run.output(to.rows(), sizes.hidden);
  const auto dweights = run.output(sizes.tokens, sizes.slots);
  cuda::combine_rows_backward(run.stream(), run.upload(dout), run.upload(y), slots_on_device(run, sizes, to),
                              run.upload(weights), dy, dweights);
  const auto dout64 = dout.f64();
  const auto y64 = y.f64();
  const auto weights64 = weights.f64();
  std::vector<double> expected_dy(y64.size());
  std::vector<double> expected_dweights(weights64.size());
  ops::reference::combine_rows_backward<double>(matrix_of(dout64, sizes.hidden), matrix_of(y64, sizes.hidden),
                                                slots_on_host(sizes, to), matrix_of(weights64, sizes.slots),
                                                matrix_of(expected_dy, sizes.hidden),
                                                matrix_of(expected_dweights, sizes.slots));
  run.expect("dy", dy, expected_dy, kTolerance);
  run.expect("dweights", dweights, expected_dweights, kTolerance);
}

void check_slot_products(Run& run, const Sizes& sizes) {
  const Routed to = routed(sizes);
  const auto a = HostMatrix::random(sizes.tokens, sizes.hidden, 1);
  const auto y = HostMatrix::random(to.rows(), sizes.hidden, 2);
  const auto out = HostMatrix::random(sizes.tokens, sizes.slots, 3);
  const auto device_out = run.upload(out);
  cuda::add_slot_products(run.stream(), run.upload(a), run.upload(y), slots_on_device(run, sizes, to),
                          device_out);
  const auto a64 = a.f64();
  const auto y64 = y.f64();
  auto expected = out.f64();
  ops::reference::add_slot_products<double>(matrix_of(a64, sizes.hidden), matrix_of(y64, sizes.hidden),
                                            slots_on_host(sizes, to), matrix_of(expected, sizes.slots));
  run.expect("out", device_out, expected, kTolerance);
}

void check_scatter(Run& run, const Sizes& sizes, bool weighted) {
  const Routed to = routed(sizes);
  auto dgathered = HostMatrix::random(to.rows(), sizes.hidden, 1);
  const auto weights = HostMatrix::random(sizes.tokens, sizes.slots, 2);
  const auto dx = HostMatrix::random(sizes.tokens, sizes.hidden, 3);
  const auto device_dx = run.upload(dx);
  cuda::scatter_slots_add(run.stream(), run.upload(dgathered), slots_on_device(run, sizes, to),
                          weighted ? run.upload(weights) : cuda::Matrix<float>{}, device_dx);
  auto rows = dgathered.f64();
  const auto weights64 = weights.f64();
  for (std::size_t row = 0; weighted && row < to.pairs.size(); ++row) {
    for (std::int64_t j = 0; j < sizes.hidden; ++j)
      rows[row * static_cast<std::size_t>(sizes.hidden) + static_cast<std::size_t>(j)] *=
          weights64[static_cast<std::size_t>(to.pairs[row])];
  }
  auto expected = dx.f64();
  ops::reference::scatter_slots_add<double>(matrix_of(std::as_const(rows), sizes.hidden),
                                            slots_on_host(sizes, to), matrix_of(expected, sizes.hidden));
  run.expect("dx", device_dx, expected, kTolerance);
}

}  // namespace

void add_slot_cases(std::vector<Case>& cases) {
  for (const auto& sizes : {Sizes{33, 2, 65}, {7, 8, 300}, {0, 2, 8}, {1, 1, 1}, {150, 8, 516}}) {
    const auto name =
        fmt::format("{} tokens of {} slots, hidden {}", sizes.tokens, sizes.slots, sizes.hidden);
    for (const bool flag : {false, true}) {
      cases.push_back({"gather_rows", name + (flag ? " weighted" : ""),
                       [=](Run& run) { check_gather(run, sizes, flag); }});
      cases.push_back({"combine_rows", name + (flag ? " with base" : ""),
                       [=](Run& run) { check_combine(run, sizes, flag); }});
      cases.push_back({"scatter_slots_add", name + (flag ? " weighted" : ""),
                       [=](Run& run) { check_scatter(run, sizes, flag); }});
    }
    cases.push_back({"combine_rows_backward", name, [=](Run& run) { check_combine_backward(run, sizes); }});
    cases.push_back({"add_slot_products", name, [=](Run& run) { check_slot_products(run, sizes); }});
  }
}

}  // namespace troupe::op_check
