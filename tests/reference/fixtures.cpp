#include "tests/reference/fixtures.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "model/parameters.h"

namespace troupe::reference {
namespace {

constexpr std::uint64_t kSeed = 7;

std::vector<float> filled(const ParameterTable& table) {
  std::vector<float> buffer(static_cast<std::size_t>(table.buffer_elements()), 0.0F);
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const std::span<float> values = table.view(std::span<float>(buffer), i).floats();
    initialize(table.specs()[i], kSeed, values);
    if (table.specs()[i].init_std != 0.0) continue;
    const auto noise = random_values(1000 + i, values.size());
    for (std::size_t j = 0; j < values.size(); ++j) values[j] += 0.2F * noise[j];
  }
  return buffer;
}

void collect(const ParameterTable& table, std::span<const float> buffer, Parameters& parameters) {
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const auto values = tensor(table, buffer, i);
    parameters[{table.specs()[i].name, table.specs()[i].expert}] = Values(values.begin(), values.end());
  }
}

}  // namespace

model::ModelOptions tiny_options() {
  model::ModelOptions options;
  options.hidden_size = 12;
  options.layers = 3;
  options.attention.heads = 4;
  options.attention.kv_heads = 2;
  options.attention.head_dim = 6;
  options.attention.rope.theta = 100.0;
  options.ffn.intermediate_size = 10;
  options.moe.first_dense_layers = 1;
  options.moe.experts = 5;
  options.moe.top_k = 2;
  options.moe.expert_size = 7;
  options.moe.shared_experts = 1;
  options.moe.router.scale = 1.5;
  options.init.std = 0.35;
  options.init.residual_scaling = false;
  return options;
}

Weights::Weights(const model::ModelOptions& options, std::int64_t first_expert, std::int64_t last_expert)
    : dense(model::dense_specs(model::parameter_specs(options, kVocab))),
      experts(model::expert_specs(model::parameter_specs(options, kVocab), first_expert, last_expert)),
      dense_values(filled(dense)),
      expert_values(filled(experts)) {}

Parameters Weights::parameters() const {
  Parameters all;
  collect(dense, dense_values, all);
  collect(experts, expert_values, all);
  return all;
}

std::span<const float> tensor(const ParameterTable& table, std::span<const float> buffer, std::size_t index) {
  return table.view(buffer, index).floats();
}

Batch random_batch(std::uint64_t number, std::int64_t sequences, std::int64_t length) {
  Batch batch{.sequences = sequences,
              .length = length,
              .tokens = {},
              .targets = {},
              .positions = {},
              .first_visible = {}};
  for (std::int64_t s = 0; s < sequences; ++s) {
    const Random random(kSeed, RandomPurpose::kTest,
                        static_cast<std::uint32_t>(number * 100) + static_cast<std::uint32_t>(s));
    const auto border = static_cast<std::int64_t>(random.below(1000, static_cast<std::uint64_t>(length)));
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t start = t >= border ? border : 0;
      const auto index = static_cast<std::uint64_t>(t);
      batch.tokens.push_back(static_cast<std::int32_t>(random.below(index, kVocab)));
      batch.targets.push_back(random.below(100 + index, 5) == 0
                                  ? -1
                                  : static_cast<std::int32_t>(random.below(200 + index, kVocab)));
      batch.positions.push_back(static_cast<std::int32_t>(t - start));
      batch.first_visible.push_back(static_cast<std::int32_t>(start));
    }
  }
  return batch;
}

Batch random_pairs(std::uint64_t number, std::int64_t sequences, std::int64_t length) {
  Batch batch = random_batch(number, sequences, length);
  for (std::int64_t s = 0; s < sequences; ++s) {
    const std::int64_t first = s * length + s;  // not always at the beginning, nor to the end
    batch.pairs.push_back({.chosen = first,
                           .rejected = first + length / 2,
                           .end = first + length - 1 - s,
                           .reference = 0.5 * static_cast<double>(s) - 1.0});
  }
  return batch;
}

MicrobatchInput as_input(const Batch& batch) {
  const auto view = [&](const std::vector<std::int32_t>& values) {
    return ConstTensorView(values.data(), Shape{static_cast<std::int64_t>(values.size())});
  };
  MicrobatchInput input{view(batch.tokens), view(batch.targets), view(batch.positions),
                        view(batch.first_visible)};
  input.pairs = batch.pairs;
  input.first_token = batch.first_token;
  return input;
}

Step random_step(const model::ModelOptions& options, const std::vector<Batch>& batches) {
  Step step;
  step.target_tokens = 0;
  step.routed_tokens = 0;
  step.sequence_length = batches.front().length;
  for (const Batch& batch : batches) {
    step.target_tokens +=
        std::ranges::count_if(batch.targets, [](std::int32_t target) { return target >= 0; });
    step.routed_tokens += static_cast<std::int64_t>(batch.size());
  }
  if (options.objective.compares()) {
    step.target_tokens = 0;
    for (const Batch& batch : batches) step.target_tokens += std::ssize(batch.pairs);
  }
  const auto experts = static_cast<std::size_t>(options.moe.choices());
  for (std::int64_t layer = 0; layer < model::moe_layers(options); ++layer) {
    const auto noise = random_values(static_cast<std::uint64_t>(50 + layer), experts);
    Values bias;
    std::vector<std::int64_t> counts;
    std::vector<std::int64_t> unbiased;
    for (const float value : noise) {
      bias.push_back(static_cast<float>(0.1F * value));
      counts.push_back(5 + std::lround(2.0F * value));
      unbiased.push_back(9 - std::lround(3.0F * value));
    }
    step.bias.push_back(bias);
    step.previous_counts.push_back(counts);
    step.previous_unbiased_counts.push_back(unbiased);
    for (std::size_t i = 0; i < experts; ++i) {
      counts[i] *= static_cast<std::int64_t>(i + 1);
      unbiased[i] *= static_cast<std::int64_t>(experts - i);
    }
    step.running_counts.push_back(counts);
    step.running_unbiased_counts.push_back(unbiased);
    for (std::size_t i = 0; i < experts; ++i) {
      counts[i] += static_cast<std::int64_t>(7 * i);
      unbiased[i] += static_cast<std::int64_t>(11 * (experts - i));
    }
    step.global_counts.push_back(counts);
    step.global_unbiased_counts.push_back(unbiased);
  }
  for (std::size_t a = 0; a < options.moe.aux_loss.size(); ++a) {
    step.aux_coefficients.push_back(options.moe.aux_loss[a].coefficient.from);
  }
  return step;
}

FlatStep::FlatStep(const model::ModelOptions& options, const Step& values) : step(values) {
  for (std::size_t layer = 0; layer < static_cast<std::size_t>(model::moe_layers(options)); ++layer) {
    for (const double value : values.bias[layer]) bias.push_back(static_cast<float>(value));
    const auto append = [&](const std::vector<std::vector<std::int64_t>>& all,
                            std::vector<std::int64_t>& to) {
      to.insert(to.end(), all[layer].begin(), all[layer].end());
    };
    append(values.previous_counts, previous_counts);
    append(values.previous_unbiased_counts, previous_unbiased_counts);
    append(values.running_counts, running_counts);
    append(values.running_unbiased_counts, running_unbiased_counts);
    append(values.global_counts, global_counts);
    append(values.global_unbiased_counts, global_unbiased_counts);
  }
}

model::StepContext FlatStep::context() const {
  return {.target_tokens = step.target_tokens,
          .routed_tokens = step.routed_tokens,
          .bias = bias,
          .aux_coefficients = step.aux_coefficients,
          .seed = step.seed,
          .counts = {.previous = previous_counts, .running = running_counts, .global = global_counts},
          .unbiased_counts = {.previous = previous_unbiased_counts,
                              .running = running_unbiased_counts,
                              .global = global_unbiased_counts}};
}

std::vector<float> random_values(std::uint64_t stream, std::size_t count) {
  const Random random(kSeed, RandomPurpose::kTest, static_cast<std::uint32_t>(stream));
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.normal(i)));
  return values;
}

double gradient_error(std::span<const float> analytic, Values& values, const std::function<double()>& loss,
                      std::size_t samples) {
  constexpr double kStep = 1e-5;
  const std::size_t count = std::min(samples, values.size());
  double difference = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t index = i * values.size() / count;
    const double kept = values[index];
    values[index] = kept + kStep;
    const double above = loss();
    values[index] = kept - kStep;
    const double below = loss();
    values[index] = kept;
    const double numeric = (above - below) / (2.0 * kStep);
    difference += (analytic[index] - numeric) * (analytic[index] - numeric);
    norm += numeric * numeric;
  }
  if (norm == 0.0) return std::sqrt(difference);
  return std::sqrt(difference / norm);
}

}  // namespace troupe::reference
