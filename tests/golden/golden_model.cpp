#include "tests/golden/golden_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>

#include "base/index.h"

namespace troupe::golden {

model::ModelOptions options_of(const nlohmann::json& config) {
  model::ModelOptions options;
  options.hidden_size = config.at("hidden_size");
  options.layers = config.at("layers");
  options.tie_embeddings = config.at("tie_embeddings");
  options.norm.eps = config.at("eps");
  options.attention.heads = config.at("heads");
  options.attention.kv_heads = config.at("kv_heads");
  options.attention.head_dim = config.at("head_dim");
  options.attention.rope.theta = config.at("theta");
  options.ffn.intermediate_size = config.at("intermediate_size").get<std::int64_t>();
  options.moe.first_dense_layers = config.at("first_dense_layers");
  options.moe.experts = config.at("experts");
  options.moe.top_k = config.at("top_k");
  options.moe.expert_size = config.at("expert_size");
  options.moe.shared_experts = config.at("shared_experts");
  options.moe.router.scale = config.at("scale");
  return options;
}

double relative_error(std::span<const float> ours, std::span<const float> theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  double difference = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    difference += std::pow(static_cast<double>(ours[i]) - theirs[i], 2);
    norm += std::pow(static_cast<double>(theirs[i]), 2);
  }
  return std::sqrt(difference / norm);
}

std::vector<float> zeros(const ParameterTable& table) {
  return std::vector<float>(at(table.buffer_elements()), 0.0F);
}

GoldenModel::GoldenModel(const std::string& name, const model::ObjectiveOptions& objective,
                         std::int64_t length, std::int64_t tokens)
    : file_(name),
      options_(options_of(file_.index().at("config"))),
      specs_([&] {
        options_.objective = objective;
        return model::parameter_specs(options_, file_.index().at("config").at("vocab_size"));
      }()),
      dense_(model::dense_specs(specs_)),
      experts_(model::expert_specs(specs_, 0, options_.moe.experts)),
      values_{loaded(dense_), loaded(experts_)},
      group_(comm::make_inproc_group(1)) {
  const auto bias = file_.tensor("bias");
  bias_.assign(bias.begin(), bias.end());
  const model::TransformerShape shape{file_.index().at("config").at("vocab_size"), length, tokens};
  const layout::Placement placement(
      at(model::moe_layers(options_)),
      layout::LayerPlacement::contiguous(static_cast<int>(options_.moe.experts), 1));
  transformer_ = std::make_unique<model::Transformer>(
      options_, shape, dense_, experts_, experts::ModelExpertGroup{*group_[0], placement}, Execution{1});
}

std::vector<float> GoldenModel::loaded(const ParameterTable& table) const {
  std::vector<float> buffer = zeros(table);
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const ParameterSpec& spec = table.specs()[i];
    const auto all = file_.tensor("weights/" + spec.name);
    const auto part = all.subspan(at(spec.global_begin()), at(spec.elements()));
    std::ranges::copy(part, buffer.begin() + table.offset(i));
  }
  return buffer;
}

/// The tensor `name` out of two buffers, all experts one after another.
std::vector<float> GoldenModel::gathered(const std::string& name, const std::vector<float>& dense,
                                         const std::vector<float>& experts) const {
  std::vector<float> values;
  for (const auto* table : {&dense_, &experts_}) {
    const std::vector<float>& buffer = table == &dense_ ? dense : experts;
    for (std::size_t i = 0; i < table->specs().size(); ++i) {
      if (table->specs()[i].name != name) continue;
      const auto part = table->view(std::span<const float>(buffer), i).floats();
      values.insert(values.end(), part.begin(), part.end());
    }
  }
  return values;
}

void GoldenModel::expect_equal_below(const std::string& prefix, const std::vector<float>& dense,
                                     const std::vector<float>& experts, double tolerance) const {
  const auto names = file_.names_below(prefix);
  std::set<std::string> ours;
  for (const auto& spec : specs_) ours.insert(spec.name);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), ours);
  for (const auto& name : names) {
    EXPECT_LE(relative_error(gathered(name, dense, experts), file_.tensor(prefix + name)), tolerance)
        << prefix << name;
  }
}

GoldenModel::Gradient GoldenModel::gradient(const MicrobatchInput& input, const model::StepContext& step) {
  Gradient gradient{zeros(dense_), zeros(experts_), transformer_->make_result()};
  const std::array<int, 1> lane_of_source{0};
  const std::array<TensorView, 1> lanes{gradient.experts};
  transformer_->forward_backward(
      input, step, weights(),
      {.dense = gradient.dense, .expert_lanes = lanes, .lane_of_source = lane_of_source}, gradient.result);
  return gradient;
}

}  // namespace troupe::golden
