#include "op_check.h"
#include "tensor/cuda/cross_entropy.h"
#include "tensor/ops/cross_entropy/cross_entropy_ref.h"

namespace troupe::op_check {
namespace {

constexpr double kTolerance = 2e-6;

struct Inputs {
  HostMatrix logits;
  std::vector<std::int32_t> targets;
};

/// Logits up to ±8; every fifth row masked.
Inputs inputs_of(std::int64_t rows, std::int32_t vocab) {
  Inputs inputs{HostMatrix::random(rows, vocab, 1), random_integers(rows, vocab, 2)};
  for (std::int64_t i = 0; i < std::ssize(inputs.logits.values); ++i) {
    if (i % inputs.logits.stride < vocab) inputs.logits.values[static_cast<std::size_t>(i)] *= 8.0F;
  }
  for (std::size_t row = 2; row < inputs.targets.size(); row += 5) inputs.targets[row] = -1;
  return inputs;
}

void check_cross_entropy(Run& run, std::int64_t rows, std::int32_t vocab, bool with_gradient) {
  const Inputs inputs = inputs_of(rows, vocab);
  constexpr float kScale = 0.25F;
  constexpr float kZLoss = 0.01F;
  const auto logits = run.upload(inputs.logits);
  auto* nll = run.output<double>(rows);
  auto* log_z = run.output<double>(rows);
  const auto* targets = run.upload(inputs.targets);
  auto expected = inputs.logits.f64();
  std::vector<double> expected_nll(static_cast<std::size_t>(rows));
  std::vector<double> expected_log_z(static_cast<std::size_t>(rows));
  if (with_gradient) {
    cuda::cross_entropy_forward_backward(run.stream(), logits, targets, kScale, kZLoss, nll, log_z);
    ops::reference::cross_entropy_forward_backward<double>(matrix_of(expected, vocab), inputs.targets, kScale,
                                                           kZLoss, expected_nll, expected_log_z);
  } else {
    cuda::cross_entropy_forward(run.stream(), logits, targets, nll, log_z);
    ops::reference::cross_entropy_forward<double>(matrix_of(std::as_const(expected), vocab), inputs.targets,
                                                  expected_nll, expected_log_z);
  }
  run.expect("logits", logits, expected, with_gradient ? kTolerance : 0.0);
  run.expect("nll", nll, expected_nll, kTolerance);
  run.expect("log_z", log_z, expected_log_z, kTolerance);
}

}  // namespace

void add_loss_cases(std::vector<Case>& cases) {
  struct Sizes {
    std::int64_t rows;
    std::int32_t vocab;
  };
  for (const auto& [rows, vocab] : {Sizes{7, 1000}, {3, 5}, {12, 257}, {0, 10}, {5, 50304}}) {
    for (const bool with_gradient : {false, true}) {
      cases.push_back({with_gradient ? "cross_entropy_forward_backward" : "cross_entropy_forward",
                       fmt::format("{}x{}", rows, vocab),
                       [=](Run& run) { check_cross_entropy(run, rows, vocab, with_gradient); }});
    }
  }
}

}  // namespace troupe::op_check
