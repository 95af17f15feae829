#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/microbatch.h"
#include "tensor/parameter.h"
#include "tests/reference/reference_model.h"

namespace troupe::reference {

/// Grouped heads, QK-norm, one dense and two MoE layers of five experts (top 2) and a shared one:
/// small enough for central differences, and nothing divides evenly.
[[nodiscard]] model::ModelOptions tiny_options();
inline constexpr std::int64_t kVocab = 23;

/// Weights of the experts [first, last) and all dense ones. Far from their initial values, so that
/// every term of a gradient matters; the same numbers for every range of experts.
struct Weights {
  Weights(const model::ModelOptions& options, std::int64_t first_expert, std::int64_t last_expert);
  [[nodiscard]] Parameters parameters() const;

  ParameterTable dense, experts;
  std::vector<float> dense_values, expert_values;
};

/// Values of one tensor in a buffer that is laid out by `table`.
[[nodiscard]] std::span<const float> tensor(const ParameterTable& table, std::span<const float> buffer,
                                            std::size_t index);

/// Random tokens with a document border inside each sequence and some masked targets; `number` picks
/// the sequence, as a global cursor would.
[[nodiscard]] Batch random_batch(std::uint64_t number, std::int64_t sequences, std::int64_t length);
/// The same with a pair in each sequence.
[[nodiscard]] Batch random_pairs(std::uint64_t number, std::int64_t sequences, std::int64_t length);
[[nodiscard]] MicrobatchInput as_input(const Batch& batch);

/// Bias and previous counts that differ by expert, and every aux loss's coefficient.
[[nodiscard]] Step random_step(const model::ModelOptions& options, const std::vector<Batch>& batches);
/// The same for the model; keeps the flat copies.
struct FlatStep {
  FlatStep(const model::ModelOptions& options, const Step& step);
  [[nodiscard]] model::StepContext context() const;
  Step step;
  std::vector<float> bias;
  std::vector<std::int64_t> previous_counts, previous_unbiased_counts;
  std::vector<std::int64_t> running_counts, running_unbiased_counts;
  std::vector<std::int64_t> global_counts, global_unbiased_counts;
};

/// [count] numbers around zero.
[[nodiscard]] std::vector<float> random_values(std::uint64_t stream, std::size_t count);

/// ‖a − b‖₂ / ‖b‖₂ between an analytic gradient and central differences of `loss` with respect to
/// `values`, which it moves and restores; over at most `samples` elements, evenly spread.
[[nodiscard]] double gradient_error(std::span<const float> analytic, Values& values,
                                    const std::function<double()>& loss, std::size_t samples = 48);

}  // namespace troupe::reference
