#include "tests/golden/imported_model.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/index.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/load.h"
#include "conversion/tensor_map.h"
#include "model/generation/decoder.h"
#include "storage/checkpoint_path.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/training_options.h"

namespace troupe::golden {
namespace {

constexpr std::int64_t kSequences = 2;

/// The next token of each; none of a sequence's last one.
std::vector<std::int32_t> targets_of(const std::vector<std::int32_t>& tokens) {
  std::vector<std::int32_t> targets(tokens.begin() + 1, tokens.end());
  targets.push_back(-1);
  return targets;
}

/// Values of one parameter, as they lie in a file's tensors.
void scatter(const conversion::TensorMap& map, const ParameterSpec& spec, std::span<const float> values,
             ImportedModel::Gradients& tensors) {
  std::size_t next = 0;
  for (const auto& [name, slice] : map.parts(spec)) {
    for (std::int64_t row = 0; row < slice.rows; ++row)
      for (std::int64_t column = 0; column < slice.columns; ++column)
        tensors.at(name)[at(slice.begin + row * slice.row_stride + column * slice.column_stride)] =
            values[next++];
  }
}

}  // namespace

ImportedModel::ImportedModel(const std::filesystem::path& run, std::int64_t length)
    : reader_(storage::find_checkpoint(run)),
      config_(configs::parse_record(reader_.manifest().metadata.config, run.string())),
      length_(length),
      world_(std::move(comm::make_inproc_group(1).front())) {
  workers::TrainingOptions options;
  options.model = config_.model;
  options.vocab_size = vocab();
  options.data.sequence_length = length;
  options.batch = {.accumulation_steps = 1, .grad_lanes = 1, .expert_lanes = 1, .micro_batch = kSequences};
  const layout::Layout layout(options.batch, 1, 1, static_cast<int>(config_.model.moe.experts));
  model_ = std::make_unique<model::Model>(workers::model_setup(options, layout, 0), layout, *world_, clock_);
  workers::load_model(reader_, *model_);
}

std::vector<float> ImportedModel::logits(std::vector<std::int32_t> tokens, std::int64_t row) {
  tokens.resize(at(length_), 0);
  std::vector<float> values(at(vocab()));
  model_->transformer().logits_of_row(input(tokens, tokens), model_->frozen_context(), model_->weights(), row,
                                      values);
  return values;
}

std::vector<std::int32_t> ImportedModel::written(const std::vector<std::int32_t>& prompt, std::size_t count) {
  model::Decoder decoder(*model_, {.sequences = 2, .capacity = length_}, std::ssize(prompt));
  std::vector<model::NextToken> next;
  for (const std::int32_t token : prompt) next.push_back({token, 1, static_cast<std::int32_t>(next.size())});
  std::vector<std::int32_t> tokens;
  std::vector<float> logits(at(vocab()));
  while (tokens.size() < count) {
    const std::array<std::int64_t, 1> last{std::ssize(next) - 1};
    decoder.decode(next, last, logits);
    tokens.push_back(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
    next = {{tokens.back(), 1, next.back().position + 1}};
  }
  return tokens;
}

std::pair<double, std::int64_t> ImportedModel::loss(const std::vector<std::int32_t>& tokens) {
  const std::vector<std::int32_t> targets = targets_of(tokens);
  std::vector<double> nll(tokens.size());
  model::MicrobatchResult result = model_->transformer().make_result();
  model_->transformer().evaluate(input(tokens, targets), model_->frozen_context(), model_->weights(), nll,
                                 result);
  return {result.nll, result.target_tokens};
}

ImportedModel::Trained ImportedModel::trained(const std::vector<std::vector<std::int32_t>>& sequences,
                                              const conversion::Family& family) {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> targets;
  for (const auto& sequence : sequences) {
    std::ranges::copy(sequence, std::back_inserter(tokens));
    std::ranges::copy(targets_of(sequence), std::back_inserter(targets));
  }
  model::StepContext step = model_->frozen_context();
  step.target_tokens = std::ssize(tokens) - std::ssize(sequences);
  step.routed_tokens = std::ssize(tokens);
  const auto zeros = [](const ParameterTable& table) {
    return std::vector<float>(at(table.buffer_elements()), 0.0F);
  };
  std::vector<float> dense = zeros(model_->dense_table());
  std::vector<float> experts = zeros(model_->expert_table());
  const TensorView lane(experts.data(), Shape{std::ssize(experts)});
  const int lane_of_source = 0;
  model::MicrobatchResult result = model_->transformer().make_result();
  model_->transformer().forward_backward(
      input(tokens, targets), step, model_->weights(),
      {.dense = dense, .expert_lanes = {&lane, 1}, .lane_of_source = {&lane_of_source, 1}}, result);

  const conversion::TensorMap map(family, options(), vocab());
  Gradients tensors;
  for (const conversion::TheirTensor& tensor : map.tensors()) {
    std::int64_t elements = 1;
    for (const std::int64_t size : tensor.shape) elements *= size;
    tensors[tensor.name].resize(at(elements));
  }
  const auto add = [&](const ParameterTable& table, std::span<const float> buffer) {
    for (std::size_t i = 0; i < table.specs().size(); ++i)
      scatter(map, table.specs()[i], table.view(buffer, i).floats(), tensors);
  };
  add(model_->dense_table(), dense);
  add(model_->expert_table(), experts);
  const auto modules = static_cast<double>(std::max<std::int64_t>(1, options().mtp.depth));
  return {std::move(tensors), result.mtp_nll / static_cast<double>(step.target_tokens) / modules};
}

MicrobatchInput ImportedModel::input(const std::vector<std::int32_t>& tokens,
                                     const std::vector<std::int32_t>& targets) {
  positions_.resize(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) positions_[i] = static_cast<std::int32_t>(i % at(length_));
  first_visible_.assign(tokens.size(), 0);
  const auto view = [](const std::vector<std::int32_t>& values) {
    return ConstTensorView(values.data(), Shape{std::ssize(values)});
  };
  return {view(tokens), view(targets), view(positions_), view(first_visible_)};
}

}  // namespace troupe::golden
