#include "tests/reference/reference_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace troupe::reference {
namespace {

Values normalized(const Values& x, const Values& weight, double eps) {
  const std::int64_t n = std::ssize(weight);
  Values y(x.size());
  for (std::int64_t row = 0; row < std::ssize(x) / n; ++row) {
    double squares = 0.0;
    for (std::int64_t i = 0; i < n; ++i) squares += x[at(row * n + i)] * x[at(row * n + i)];
    const double rms = std::sqrt(squares / static_cast<double>(n) + eps);
    for (std::int64_t i = 0; i < n; ++i) y[at(row * n + i)] = x[at(row * n + i)] / rms * weight[at(i)];
  }
  return y;
}

void add_to_rows(Values& y, const Values& bias) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
}

}  // namespace

std::string Model::prefix(std::int64_t layer) const {
  return "layers/" + std::string(layer < 10 ? "0" : "") + std::to_string(layer) + "/";
}

Values Model::norm(const Values& weight, const Values& x) const {
  return normalized(x, weight, options_.norm.eps);
}

double Model::activate(double gate, double up) const {
  const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  const auto gelu = [](double x) { return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2)); };
  const auto gelu_tanh = [](double x) {
    return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  };
  switch (options_.ffn.form.activation) {
    case layers::Activation::kSwiGlu:
      return gate * sigmoid(gate) * up;
    case layers::Activation::kGeGlu:
      return gelu(gate) * up;
    case layers::Activation::kGeGluTanh:
      return gelu_tanh(gate) * up;
    case layers::Activation::kReGlu:
      return gate > 0.0 ? gate * up : 0.0;
    case layers::Activation::kRelu2:
      return up > 0.0 ? up * up : 0.0;
    case layers::Activation::kGelu:
      return gelu(up);
    case layers::Activation::kGeluTanh:
      return gelu_tanh(up);
    case layers::Activation::kClampedSwiGlu:
      break;
  }
  const double g = std::min(gate, 7.0);
  return (std::clamp(up, -7.0, 7.0) + 1.0) * g * sigmoid(1.702 * g);
}

Values Model::ffn(const Parameters& parameters, const std::string& prefix, std::int64_t expert,
                  const Values& x) const {
  const auto& form = options_.ffn.form;
  const bool gated = form.activation != layers::Activation::kRelu2 &&
                     form.activation != layers::Activation::kGelu &&
                     form.activation != layers::Activation::kGeluTanh;
  const std::string first = prefix + (gated ? "gate_up" : "up");
  const std::int64_t hidden = options_.hidden_size;
  Values projected = linear(x, parameters.at({first + "_proj", expert}), hidden);
  if (form.bias) add_to_rows(projected, parameters.at({first + "_bias", expert}));
  const std::int64_t tokens = std::ssize(x) / hidden;
  const std::int64_t size = std::ssize(projected) / tokens / (gated ? 2 : 1);
  Values activation;
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t i = 0; i < size; ++i) {
      activation.push_back(
          gated ? activate(projected[at(t * 2 * size + i)], projected[at((2 * t + 1) * size + i)])
                : activate(0.0, projected[at(t * size + i)]));
    }
  }
  Values y = linear(activation, parameters.at({prefix + "down_proj", expert}), size);
  if (form.bias) add_to_rows(y, parameters.at({prefix + "down_bias", expert}));
  return y;
}

Values Model::shared(const Parameters& parameters, const std::string& prefix, const Values& x) const {
  Values y = ffn(parameters, prefix, -1, x);
  if (!options_.moe.shared_gate) return y;
  const Values logits = linear(x, parameters.at({prefix + "gate_weight", -1}), options_.hidden_size);
  for (std::int64_t i = 0; i < std::ssize(y); ++i)
    y[at(i)] /= 1.0 + std::exp(-logits[at(i / options_.hidden_size)]);
  return y;
}

void Model::rotate(Values& x, std::int64_t heads, const Batch& batch) const {
  const std::int64_t dim = options_.attention.head_dim;
  const auto half =
      static_cast<std::int64_t>(static_cast<double>(dim) * options_.attention.rope.fraction) / 2;
  for (std::int64_t t = 0; t < std::ssize(batch.tokens); ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double frequency =
            std::pow(options_.attention.rope.theta, -static_cast<double>(i) / static_cast<double>(half));
        const double angle = batch.positions[at(t)] * frequency;
        double& a = x[at((t * heads + h) * dim + i)];
        double& b = x[at((t * heads + h) * dim + i + half)];
        const double rotated = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = rotated;
      }
    }
  }
}

Values Model::attention(const Parameters& parameters, const std::string& prefix, const Batch& batch,
                        const Values& x) const {
  const auto& o = options_.attention;
  const std::int64_t hidden = options_.hidden_size;
  const Values& qkv = parameters.at({prefix + "attention/qkv_proj", -1});
  const auto key_row = o.heads * o.head_dim * hidden;
  const auto value_row = key_row + o.kv_heads * o.head_dim * hidden;
  Values q = linear(x, {qkv.begin(), qkv.begin() + key_row}, hidden);
  Values k = linear(x, {qkv.begin() + key_row, qkv.begin() + value_row}, hidden);
  const Values v = linear(x, {qkv.begin() + value_row, qkv.end()}, hidden);
  if (o.qk_norm) {
    q = norm(parameters.at({prefix + "attention/q_norm", -1}), q);
    k = norm(parameters.at({prefix + "attention/k_norm", -1}), k);
  }
  rotate(q, o.heads, batch);
  rotate(k, o.kv_heads, batch);
  Values out(q.size(), 0.0);
  for (std::int64_t t = 0; t < std::ssize(batch.tokens); ++t) {
    const std::int64_t start = t / batch.length * batch.length + batch.first_visible[at(t)];
    for (std::int64_t h = 0; h < o.heads; ++h) {
      const std::int64_t kv = h / (o.heads / o.kv_heads);
      Values scores;
      for (std::int64_t s = start; s <= t; ++s) {
        double dot = 0.0;
        for (std::int64_t i = 0; i < o.head_dim; ++i) {
          dot += q[at((t * o.heads + h) * o.head_dim + i)] * k[at((s * o.kv_heads + kv) * o.head_dim + i)];
        }
        scores.push_back(dot / std::sqrt(static_cast<double>(o.head_dim)));
      }
      const double lse = log_sum_exp(scores);
      for (std::int64_t s = start; s <= t; ++s) {
        const double weight = std::exp(scores[at(s - start)] - lse);
        for (std::int64_t i = 0; i < o.head_dim; ++i) {
          out[at((t * o.heads + h) * o.head_dim + i)] +=
              weight * v[at((s * o.kv_heads + kv) * o.head_dim + i)];
        }
      }
    }
  }
  return linear(out, parameters.at({prefix + "attention/out_proj", -1}), o.heads * o.head_dim);
}

Values Model::moe(const Parameters& parameters, const std::string& prefix, const Values& x,
                  const Routing& routing) const {
  const std::int64_t hidden = options_.hidden_size;
  Values y(x.size(), 0.0);
  for (std::size_t t = 0; t < routing.chosen.size(); ++t) {
    const Values token = row_of(x, static_cast<std::int64_t>(t), hidden);
    for (std::size_t j = 0; j < routing.chosen[t].size(); ++j) {
      const int expert = routing.chosen[t][j];
      if (!routing.admitted[t][j]) continue;
      const double weight = routing.weights[t][j];
      const bool on_input = options_.moe.router.weight_on == experts::WeightOn::kInput;
      Values in = token;
      for (double& value : in) value *= on_input ? weight : 1.0;
      const Values out =
          expert < options_.moe.experts ? ffn(parameters, prefix + "experts/", expert, in) : in;
      for (std::int64_t i = 0; i < hidden; ++i)
        y[t * at(hidden) + at(i)] += (on_input ? 1.0 : weight) * out[at(i)];
    }
  }
  if (options_.moe.shared_experts > 0) {
    add(y, shared(parameters, prefix + "shared_experts/", x));
  }
  return y;
}

void Model::head(const Values& weight, const Values& x, const Batch& batch, const Step& step,
                 Result& result) const {
  const Values logits = linear(x, weight, options_.hidden_size);
  for (std::int64_t t = 0; t < std::ssize(batch.tokens); ++t) {
    const Values z = row_of(logits, t, vocab_);
    result.logits.push_back(z);
    result.token_nll.push_back(0.0);
    if (batch.targets[at(t)] < 0) continue;
    const double log_z = log_sum_exp(z);
    result.token_nll.back() = log_z - z[at(batch.targets[at(t)])];
    result.nll += result.token_nll.back();
    result.log_z_squared += log_z * log_z;
  }
  result.loss +=
      (result.nll + options_.loss.z_loss * result.log_z_squared) / static_cast<double>(step.target_tokens);
}

Result Model::run(const Parameters& parameters, const Batch& batch, const Step& step) const {
  const auto dense = [&](const std::string& name) -> const Values& { return parameters.at({name, -1}); };
  Result result;
  Values x;
  for (const std::int32_t token : batch.tokens) {
    const Values row = row_of(dense("embedding/weight"), token, options_.hidden_size);
    x.insert(x.end(), row.begin(), row.end());
  }
  for (std::int64_t layer = 0; layer < options_.layers; ++layer) {
    const std::string p = prefix(layer);
    add(x, attention(parameters, p, batch, norm(dense(p + "attention_norm/weight"), x)));
    const Values normed = norm(dense(p + "ffn_norm/weight"), x);
    const std::int64_t after = layer - options_.moe.first_dense_layers;
    if (after < 0 || after % options_.moe.every != options_.moe.every - 1) {
      add(x, ffn(parameters, p + "ffn/", -1, normed));
      continue;
    }
    result.routing.push_back(route(parameters, p, normed, step, result.routing.size()));
    result.loss += result.routing.back().objective;
    add(x, moe(parameters, p, normed, result.routing.back()));
  }
  head(dense(options_.tie_embeddings ? "embedding/weight" : "head/weight"),
       norm(dense("final_norm/weight"), x), batch, step, result);
  return result;
}

}  // namespace troupe::reference
