#include "model/parameters.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/feed_forward.h"

namespace troupe::model {
namespace {

/// Collects the specs of a model, part by part.
class Builder {
 public:
  Builder(const ModelOptions& options, std::int64_t vocab_size)
      : options_(options), vocab_size_(vocab_size) {}

  std::vector<ParameterSpec> build() && {
    embedding("embedding/weight");
    for (std::int64_t layer = 0; layer < options_.layers; ++layer) block(layer);
    norm("final_norm/weight", options_.hidden_size);
    if (!options_.tie_embeddings) matrix("head/weight", vocab_size_, options_.hidden_size, options_.init.std);
    return std::move(specs_);
  }

 private:
  void embedding(const std::string& name) {
    matrix(name, vocab_size_, options_.hidden_size, options_.init.std);
    specs_.back().decay = false;
  }

  void block(std::int64_t layer) {
    const std::string prefix = layer_prefix(layer, options_.layers);
    norm(prefix + "attention_norm/weight", options_.hidden_size);
    attention(prefix + "attention/");
    norm(prefix + "ffn_norm/weight", options_.hidden_size);
    if (is_moe_layer(options_, layer)) {
      moe(prefix, moe_index(options_, layer));
    } else {
      ffn(prefix + "ffn/", options_.ffn.intermediate_size);
    }
  }

  void attention(const std::string& prefix) {
    const auto& attention = options_.attention;
    const std::int64_t query_width = attention.heads * attention.head_dim;
    const std::int64_t key_width = attention.kv_heads * attention.head_dim;
    linear(prefix + "qkv_proj", query_width + 2 * key_width, options_.hidden_size);
    linear(prefix + "out_proj", options_.hidden_size, query_width);
    if (!attention.qk_norm) return;
    norm(prefix + "q_norm", attention.head_dim);
    norm(prefix + "k_norm", attention.head_dim);
  }

  void ffn(const std::string& prefix, std::int64_t size) {
    const auto& form = options_.ffn.form;
    const std::int64_t columns = ops::input_columns(form.activation) * size;
    projection(prefix + layers::input_projection(form), columns, options_.hidden_size);
    projection(prefix + "down", options_.hidden_size, size);
  }

  void projection(const std::string& name, std::int64_t out, std::int64_t in) {
    linear(name + "_proj", out, in);
    if (options_.ffn.form.bias) vector(name + "_bias", out, 0.0F);
  }

  void moe(const std::string& prefix, std::int64_t index) {
    const auto& moe = options_.moe;
    matrix(prefix + "router/weight", moe.choices(), options_.hidden_size,
           options_.init.std * moe.router.init_scale);
    if (moe.router.linear_bias) vector(prefix + "router/linear_bias", moe.choices(), 0.0F);
    if (moe.router.selection == experts::Selection::kNoisyTopK)
      matrix(prefix + "router/noise_weight", moe.choices(), options_.hidden_size, 0.0);
    for (std::int64_t expert = 0; expert < moe.experts; ++expert) {
      const std::size_t first = specs_.size();
      ffn(prefix + "experts/", moe.expert_size);
      for (std::size_t i = first; i < specs_.size(); ++i) {
        specs_[i].kind = ParameterKind::kExpert;
        specs_[i].expert = expert;
        specs_[i].moe_layer = index;
        specs_[i].experts = moe.experts;
      }
    }
    if (moe.shared_experts == 0) return;
    ffn(prefix + "shared_experts/", moe.shared_experts * moe.expert_size);
    if (moe.shared_gate) linear(prefix + "shared_experts/gate_weight", 1, options_.hidden_size);
  }

  void norm(const std::string& name, std::int64_t size) { vector(name, size, 1.0F); }

  /// Begins at a constant, and does not decay.
  void vector(const std::string& name, std::int64_t size, float value) {
    ParameterSpec& spec = specs_.emplace_back();
    spec.name = name;
    spec.shape = Shape{size};
    spec.decay = false;
    spec.init_std = 0.0;
    spec.init_constant = value;
  }

  void linear(const std::string& name, std::int64_t out, std::int64_t in) {
    matrix(name, out, in, options_.init.std);
  }

  void matrix(const std::string& name, std::int64_t rows, std::int64_t columns, double init_std) {
    ParameterSpec& spec = specs_.emplace_back();
    spec.name = name;
    spec.shape = Shape{rows, columns};
    spec.init_std = init_std;
  }

  const ModelOptions& options_;
  std::int64_t vocab_size_;
  std::vector<ParameterSpec> specs_;
};

}  // namespace

std::string layer_prefix(std::int64_t layer, std::int64_t layers) {
  const std::size_t width = std::max<std::size_t>(2, fmt::formatted_size("{}", layers - 1));
  return fmt::format("layers/{:0{}}/", layer, width);
}

std::vector<ParameterSpec> parameter_specs(const ModelOptions& options, std::int64_t vocab_size) {
  return Builder(options, vocab_size).build();
}

std::vector<ParameterSpec> dense_specs(const std::vector<ParameterSpec>& all) {
  std::vector<ParameterSpec> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen),
                       [](const ParameterSpec& spec) { return spec.kind == ParameterKind::kDense; });
  return chosen;
}

std::vector<ParameterSpec> expert_specs(const std::vector<ParameterSpec>& all, std::int64_t first_expert,
                                        std::int64_t last_expert) {
  std::vector<ParameterSpec> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), [&](const ParameterSpec& spec) {
    return spec.kind == ParameterKind::kExpert && spec.expert >= first_expert && spec.expert < last_expert;
  });
  return chosen;
}

std::vector<ParameterSpec> expert_specs(const std::vector<ParameterSpec>& all,
                                        const layout::Placement& placement, int position) {
  std::vector<ParameterSpec> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), [&](const ParameterSpec& spec) {
    return spec.kind == ParameterKind::kExpert &&
           placement.at(static_cast<std::size_t>(spec.moe_layer)).position(static_cast<int>(spec.expert)) ==
               position;
  });
  return chosen;
}

}  // namespace troupe::model
