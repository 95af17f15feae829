// The whole model against Hugging Face's dots1: same weights, same inputs, same numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "model/parameters.h"
#include "model/transformer.h"
#include "tensor/ops/adamw/adamw.h"
#include "tests/golden/golden_file.h"

namespace troupe::golden {
namespace {

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
  options.ffn.intermediate_size = config.at("intermediate_size");
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

std::vector<std::int32_t> flattened(const nlohmann::json& rows) {
  std::vector<std::int32_t> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  return values;
}

std::vector<float> zeros(const ParameterTable& table) {
  return std::vector<float>(static_cast<std::size_t>(table.buffer_elements()), 0.0F);
}

/// Our model with the weights and inputs of one case.
class Dots1 : public testing::TestWithParam<const char*> {
 protected:
  Dots1()
      : file_(GetParam()),
        options_(options_of(file_.index().at("config"))),
        vocab_(file_.index().at("config").at("vocab_size")),
        specs_(model::parameter_specs(options_, vocab_)),
        dense_(model::dense_specs(specs_)),
        experts_(model::expert_specs(specs_, 0, options_.moe.experts)),
        tokens_(flattened(file_.index().at("tokens"))),
        targets_(flattened(file_.index().at("targets"))),
        group_(comm::make_inproc_group(1)),
        model_(options_, {vocab_, length(), std::ssize(tokens_)}, dense_, experts_,
               {*group_[0], layout::Placement(static_cast<std::size_t>(model::moe_layers(options_)),
                                              layout::LayerPlacement::contiguous(
                                                  static_cast<int>(options_.moe.experts), 1))},
               {1}) {
    for (std::int64_t t = 0; t < std::ssize(tokens_); ++t)
      positions_.push_back(static_cast<std::int32_t>(t % length()));
    first_visible_.resize(tokens_.size(), 0);
    const auto bias = file_.tensor("bias");
    bias_.assign(bias.begin(), bias.end());
    weights_[0] = loaded("weights/", dense_);
    weights_[1] = loaded("weights/", experts_);
  }

  [[nodiscard]] std::int64_t length() const { return std::ssize(file_.index().at("tokens").at(0)); }

  [[nodiscard]] std::vector<float> loaded(const std::string& prefix, const ParameterTable& table) const {
    std::vector<float> buffer = zeros(table);
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const ParameterSpec& spec = table.specs()[i];
      const auto all = file_.tensor(prefix + spec.name);
      const auto part = all.subspan(static_cast<std::size_t>(spec.global_begin()),
                                    static_cast<std::size_t>(spec.elements()));
      std::ranges::copy(part, buffer.begin() + table.offset(i));
    }
    return buffer;
  }

  /// The tensor `name` out of two buffers, all experts one after another.
  [[nodiscard]] std::vector<float> gathered(const std::string& name, const std::vector<float>& dense,
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

  void expect_equal_below(const std::string& prefix, const std::vector<float>& dense,
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

  [[nodiscard]] MicrobatchInput input() const {
    const auto view = [](const std::vector<std::int32_t>& values) {
      return ConstTensorView(values.data(), Shape{std::ssize(values)});
    };
    return {view(tokens_), view(targets_), view(positions_), view(first_visible_)};
  }

  [[nodiscard]] model::StepContext step() const {
    const auto unmasked = std::ranges::count_if(targets_, [](std::int32_t target) { return target >= 0; });
    return {.target_tokens = unmasked, .routed_tokens = std::ssize(tokens_), .bias = bias_};
  }

  struct Gradient {
    std::vector<float> dense, experts;
    model::MicrobatchResult result;
  };
  [[nodiscard]] Gradient gradient() {
    Gradient gradient{zeros(dense_), zeros(experts_), model_.make_result()};
    const std::array<int, 1> lane_of_source{0};
    const std::array<TensorView, 1> lanes{gradient.experts};
    model_.forward_backward(
        input(), step(), {weights_[0], weights_[1]},
        {.dense = gradient.dense, .expert_lanes = lanes, .lane_of_source = lane_of_source}, gradient.result);
    return gradient;
  }

  void update(const ParameterTable& table, std::vector<float>& values, const std::vector<float>& gradient,
              std::vector<float>& first_moment, std::vector<float>& second_moment,
              std::int64_t number) const {
    const auto& adamw = file_.index().at("adamw");
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const ops::AdamWStep step{
          .lr = adamw.at("lr"),
          .beta1 = adamw.at("beta1"),
          .beta2 = adamw.at("beta2"),
          .eps = adamw.at("eps"),
          .weight_decay = decays(table.specs()[i].role) ? adamw.at("weight_decay").get<double>() : 0.0,
          .step = number,
          .gradient_scale = 1.0F};
      ops::adamw({1}, step, table.view(std::span(values), i).floats(),
                 table.view(std::span<const float>(gradient), i).floats(),
                 table.view(std::span(first_moment), i).floats(),
                 table.view(std::span(second_moment), i).floats());
    }
  }

  GoldenFile file_;
  model::ModelOptions options_;
  std::int64_t vocab_;
  std::vector<ParameterSpec> specs_;
  ParameterTable dense_;
  ParameterTable experts_;
  std::vector<std::int32_t> tokens_, targets_, positions_, first_visible_;
  std::vector<float> bias_;
  std::array<std::vector<float>, 2> weights_;  // dense, experts
  std::vector<std::unique_ptr<comm::Communicator>> group_;
  model::Transformer model_;
};

TEST_P(Dots1, LogitsAndLossEqualHuggingFaces) {
  std::vector<float> logits;
  for (std::int64_t row = 0; row < std::ssize(tokens_); ++row) {
    std::vector<float> of_row(static_cast<std::size_t>(vocab_));
    model_.logits_of_row(input(), step(), {weights_[0], weights_[1]}, row, of_row);
    logits.insert(logits.end(), of_row.begin(), of_row.end());
  }
  EXPECT_LE(relative_error(logits, file_.tensor("logits")), 1e-4);
  const double loss = gradient().result.nll / static_cast<double>(step().target_tokens);
  EXPECT_NEAR(loss, file_.index().at("loss").get<double>(), 1e-4 * loss);
}

TEST_P(Dots1, EveryGradientEqualsHuggingFaces) {
  const Gradient ours = gradient();
  expect_equal_below("gradients/", ours.dense, ours.experts, 1e-4);
}

TEST_P(Dots1, WeightsAfterFiveAdamWStepsEqualPyTorchs) {
  std::array<std::vector<float>, 2> first{zeros(dense_), zeros(experts_)};
  std::array<std::vector<float>, 2> second = first;
  const std::int64_t steps = file_.index().at("adamw").at("steps");
  for (std::int64_t number = 1; number <= steps; ++number) {
    const Gradient ours = gradient();
    update(dense_, weights_[0], ours.dense, first[0], second[0], number);
    update(experts_, weights_[1], ours.experts, first[1], second[1], number);
  }
  expect_equal_below("after/", weights_[0], weights_[1], 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Cases, Dots1, testing::Values("tied", "untied"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace troupe::golden
