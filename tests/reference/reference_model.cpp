#include "tests/reference/reference_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/random.h"

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

Values centered(const Values& x, std::int64_t n) {
  Values y = x;
  for (std::int64_t row = 0; row < std::ssize(x) / n; ++row) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < n; ++i) sum += x[at(row * n + i)];
    for (std::int64_t i = 0; i < n; ++i) y[at(row * n + i)] -= sum / static_cast<double>(n);
  }
  return y;
}

Values unit_rows(const Values& weight, std::int64_t columns) {
  Values divided = weight;
  for (std::int64_t row = 0; row < std::ssize(weight) / columns; ++row) {
    double squares = 0.0;
    for (std::int64_t i = 0; i < columns; ++i)
      squares += weight[at(row * columns + i)] * weight[at(row * columns + i)];
    for (std::int64_t i = 0; i < columns; ++i) divided[at(row * columns + i)] /= std::sqrt(squares);
  }
  return divided;
}

}  // namespace

std::string Model::prefix(std::int64_t layer) const {
  return "layers/" + std::string(layer < 10 ? "0" : "") + std::to_string(layer) + "/";
}

Values Model::norm(const Values& weight, const Values& x) const {
  Values factor = weight;
  if (options_.norm.kind == layers::NormKind::kRmsPlusOne)
    for (double& value : factor) value += 1.0;
  return normalized(x, factor, options_.norm.eps);
}

Values Model::norm(const Parameters& parameters, const std::string& folder, const Values& x) const {
  const Values& weight = parameters.at({folder + "weight", -1});
  if (options_.norm.kind != layers::NormKind::kLayerNorm) return norm(weight, x);
  Values y = norm(weight, centered(x, std::ssize(weight)));
  if (options_.norm.bias) add_to_rows(y, parameters.at({folder + "bias", -1}));
  return y;
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
    case layers::Activation::kSilu:
      return up * sigmoid(up);
    case layers::Activation::kRelu:
      return std::max(up, 0.0);
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
                  const Values& x, const Step& step) const {
  const auto& form = options_.ffn.form;
  const bool gated =
      form.activation != layers::Activation::kSilu && form.activation != layers::Activation::kRelu &&
      form.activation != layers::Activation::kRelu2 && form.activation != layers::Activation::kGelu &&
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
  if (options_.dropout.ffn > 0.0) {
    const std::int64_t layer = std::stoll(prefix.substr(prefix.find('/') + 1));
    const bool dense = expert < 0;
    activation = dropped(activation, options_.dropout.ffn, dense ? layer : layer * 131072 + expert, step,
                         dense ? RandomPurpose::kFfnDropout : RandomPurpose::kExpertDropout, size);
  }
  Values y = linear(activation, parameters.at({prefix + "down_proj", expert}), size);
  if (form.bias) add_to_rows(y, parameters.at({prefix + "down_bias", expert}));
  return y;
}

Values Model::shared(const Parameters& parameters, const std::string& prefix, const Values& x,
                     const Step& step) const {
  Values y = ffn(parameters, prefix, -1, x, step);
  if (!options_.moe.shared_gate) return y;
  const Values logits = linear(x, parameters.at({prefix + "gate_weight", -1}), options_.hidden_size);
  for (std::int64_t i = 0; i < std::ssize(y); ++i)
    y[at(i)] /= 1.0 + std::exp(-logits[at(i / options_.hidden_size)]);
  return y;
}

Values Model::moe(const Parameters& parameters, const std::string& prefix, const Values& x,
                  const Routing& routing, const Step& step) const {
  const std::int64_t hidden = options_.hidden_size;
  Values y(x.size(), 0.0);
  std::vector<std::int64_t> earlier(at(options_.moe.choices()), 0);  // rows of each expert
  for (std::size_t t = 0; t < routing.chosen.size(); ++t) {
    const Values token = row_of(x, static_cast<std::int64_t>(t), hidden);
    for (std::size_t j = 0; j < routing.chosen[t].size(); ++j) {
      const int expert = routing.chosen[t][j];
      if (!routing.admitted[t][j]) continue;
      const double weight = routing.weights[t][j];
      Step numbered = step;
      numbered.first_token += earlier[at(expert)]++;
      const bool on_input = options_.moe.router.weight_on == experts::WeightOn::kInput;
      Values in = token;
      for (double& value : in) value *= on_input ? weight : 1.0;
      const Values out =
          expert < options_.moe.experts ? ffn(parameters, prefix + "experts/", expert, in, numbered) : in;
      for (std::int64_t i = 0; i < hidden; ++i)
        y[t * at(hidden) + at(i)] += (on_input ? 1.0 : weight) * out[at(i)];
    }
  }
  if (options_.moe.shared_experts > 0) {
    add(y, shared(parameters, prefix + "shared_experts/", x, step));
  }
  for (double& value : y) value *= options_.moe.output_scale;
  return y;
}

Values Model::logits_of(const Parameters& parameters, const Values& x) const {
  const auto& o = options_.logits;
  Values weight = parameters.at({options_.tie_embeddings ? "embedding/weight" : "head/weight", -1});
  if (o.normed) weight = unit_rows(weight, options_.hidden_size);
  Values logits = linear(x, weight, options_.hidden_size);
  if (o.bias) add_to_rows(logits, parameters.at({"head/bias", -1}));
  const double width = options_.mup.base_width > 0 ? static_cast<double>(options_.hidden_size) /
                                                         static_cast<double>(options_.mup.base_width)
                                                   : 1.0;
  for (double& z : logits) z /= width;
  for (double& z : logits) z = o.softcap > 0.0 ? o.softcap * std::tanh(o.scale * z / o.softcap) : o.scale * z;
  return logits;
}

void Model::head(const Parameters& parameters, const Values& x, const Batch& batch, const Step& step,
                 Result& result) const {
  const Values logits = logits_of(parameters, x);
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
  if (options_.objective.compares()) return;
  result.loss +=
      (result.nll + options_.loss.z_loss * result.log_z_squared) / static_cast<double>(step.target_tokens);
}

/// place: 0 for the embedding, 2 layer + 1 after its mixer, 2 layer + 2 after its feed-forward
Values Model::dropped(Values x, double rate, std::int64_t place, const Step& step, RandomPurpose purpose,
                      std::int64_t width) const {
  if (rate == 0.0 || !step.training) return x;
  const Random random(step.seed, purpose, static_cast<std::uint32_t>(place));
  const std::int64_t hidden = width > 0 ? width : options_.hidden_size;
  for (std::int64_t i = 0; i < std::ssize(x); ++i) {
    const std::int64_t index = (step.first_token + i / hidden) * ((hidden + 3) / 4) + i % hidden / 4;
    const double uniform = random.words(static_cast<std::uint64_t>(index))[at(i % hidden % 4)] / 4294967296.0;
    x[at(i)] = uniform < rate ? 0.0 : x[at(i)] / (1.0 - rate);
  }
  return x;
}

Values Model::feed(const Parameters& parameters, const std::string& p, std::int64_t layer, const Values& x,
                   const Step& step, Result& result) const {
  const auto& moe_options = options_.moe;
  const std::int64_t like = std::min(layer, options_.layers - 1);  // a module has what the last layer has
  const std::int64_t after = like - moe_options.first_dense_layers;
  const bool dense = after < 0 || like >= options_.layers - moe_options.last_dense_layers;
  const std::int64_t place = moe_options.shortcut ? 0 : moe_options.every - 1;
  if (dense || after % moe_options.every != place) return ffn(parameters, p + "ffn/", -1, x, step);
  result.routing.push_back(route(parameters, p, x, step, result.routing.size()));
  result.loss += result.routing.back().objective;
  Values y = moe(parameters, p, x, result.routing.back(), step);
  if (!moe_options.shortcut) return y;
  result.shortcut = y;
  return ffn(parameters, p + "ffn/", -1, x, step);
}

Values Model::branch(const Parameters& parameters, const std::string& name, const Values& x,
                     const std::function<Values(const Values&)>& body) const {
  using model::NormPlacement;
  const NormPlacement placement = options_.norm.placement;
  const bool before = placement == NormPlacement::kPre || placement == NormPlacement::kSandwich;
  Values added = body(before ? norm(parameters, name + "_norm/", x) : x);
  for (double& value : added) value *= options_.residual_multiplier;
  const auto normed = [&](const Values& values) { return norm(parameters, name + "_post_norm/", values); };
  Values y = x;
  if (placement == NormPlacement::kDeepNorm) {
    const double alpha = std::pow(2.0 * static_cast<double>(options_.layers), 1.0 / 4.0);
    for (double& value : y) value *= alpha;
    add(y, added);
    return normed(y);
  }
  if (placement == NormPlacement::kPost) {
    add(y, added);
    return normed(y);
  }
  add(y, placement == NormPlacement::kPre ? added : normed(added));
  return y;
}

/// -log σ(margin) of every pair, as written in arXiv 2305.18290, eq. 7, and in arXiv 2203.02155, eq. 1.
void Model::compare(const Parameters& parameters, const Values& x, const Batch& batch, const Step& step,
                    Result& result) const {
  result.nll = result.log_z_squared = 0.0;
  for (const PreferencePair& pair : batch.pairs) {
    double margin = 0.0;
    if (options_.objective.kind == model::ObjectiveKind::kReward) {
      const Values& w = parameters.at({"reward_head/weight", -1});
      for (std::int64_t i = 0; i < options_.hidden_size; ++i)
        margin += w[at(i)] * (x[at((pair.rejected - 1) * options_.hidden_size + i)] -
                              x[at((pair.end - 1) * options_.hidden_size + i)]);
    } else {
      for (std::int64_t t = pair.chosen; t < pair.rejected; ++t) margin -= result.token_nll[at(t)];
      for (std::int64_t t = pair.rejected; t < pair.end; ++t) margin += result.token_nll[at(t)];
      margin = options_.objective.beta * (margin - pair.reference);
    }
    result.nll -= std::log(1.0 / (1.0 + std::exp(-margin)));
  }
  result.loss += result.nll / static_cast<double>(step.target_tokens);
}

Values Model::block(const Parameters& parameters, const std::string& p, std::int64_t layer, const Values& x,
                    const Batch& batch, const Step& step, Result& result) const {
  const double rate = options_.dropout.residual;
  const auto mix = [&](const Values& in) {
    return dropped(attention(parameters, p, batch, in, step), rate, 2 * layer + 1, step);
  };
  const auto feed_forward = [&](const Values& in) {
    return dropped(feed(parameters, p, layer, in, step, result), rate, 2 * layer + 2, step);
  };
  if (options_.norm.placement == model::NormPlacement::kParallel) {
    const Values normed = norm(parameters, p + "attention_norm/", x);
    Values added = mix(normed);
    add(added, feed_forward(normed));
    for (double& value : added) value *= options_.residual_multiplier;
    add(added, x);
    return added;
  }
  return branch(parameters, p + "ffn", branch(parameters, p + "attention", x, mix), feed_forward);
}

/// Multi-token prediction, arXiv 2412.19437, equations 21 to 25; k is the number of the module.
void Model::predict_further(const Parameters& parameters, Values hidden, const Batch& batch, const Step& step,
                            Result& result) const {
  const std::int64_t width = options_.hidden_size;
  for (std::int64_t k = 1; k <= options_.mtp.depth; ++k) {
    const std::string p = "mtp/0" + std::to_string(k - 1) + "/";
    Values embedded;
    std::vector<std::int32_t> targets;
    for (std::int64_t i = 0; i < std::ssize(batch.tokens); ++i) {
      const bool inside = i / batch.length == (i + k) / batch.length &&
                          batch.first_visible[at(i + k)] == batch.first_visible[at(i)];
      Values row =
          row_of(parameters.at({"embedding/weight", -1}), batch.tokens[at(inside ? i + k : i)], width);
      for (double& value : row) value *= options_.embedding.scale;
      embedded.insert(embedded.end(), row.begin(), row.end());
      targets.push_back(inside ? batch.targets[at(i + k)] : -1);
    }
    const Values left = norm(parameters, p + "embedding_norm/", embedded);
    const Values right = norm(parameters, p + "hidden_norm/", hidden);
    Values joined;
    for (std::int64_t i = 0; i < std::ssize(targets); ++i) {
      for (const Values* half : {&left, &right})
        joined.insert(joined.end(), half->begin() + i * width, half->begin() + (i + 1) * width);
    }
    const Values x = linear(joined, parameters.at({p + "eh_proj", -1}), 2 * width);
    const Values y = block(parameters, p, options_.layers + k - 1, x, batch, step, result);
    hidden = norm(parameters, p + "head_norm/", y);
    const Values logits = logits_of(parameters, hidden);
    double nll = 0.0;
    for (std::int64_t i = 0; i < std::ssize(targets); ++i) {
      const Values z = row_of(logits, i, vocab_);
      if (targets[at(i)] >= 0) nll += log_sum_exp(z) - z[at(targets[at(i)])];
    }
    result.mtp_nll += nll;
    result.loss += options_.mtp.loss_weight / static_cast<double>(options_.mtp.depth) * nll /
                   static_cast<double>(step.target_tokens);
  }
}

Result Model::run(const Parameters& parameters, const Batch& batch, const Step& step) const {
  const auto& embedding = options_.embedding;
  Result result;
  Values x;
  for (std::size_t t = 0; t < batch.tokens.size(); ++t) {
    Values row = row_of(parameters.at({"embedding/weight", -1}), batch.tokens[t], options_.hidden_size);
    for (double& value : row) value *= embedding.scale;
    if (embedding.positions > 0)
      add(row, row_of(parameters.at({"embedding/positions", -1}), batch.positions[t], options_.hidden_size));
    x.insert(x.end(), row.begin(), row.end());
  }
  x = dropped(x, options_.dropout.embedding, 0, step);
  for (std::int64_t layer = 0; layer < options_.layers; ++layer) {
    x = block(parameters, prefix(layer), layer, x, batch, step, result);
    const std::int64_t after = layer - options_.moe.first_dense_layers;
    if (options_.moe.shortcut && after >= 0 && after % options_.moe.every == options_.moe.every - 1)
      add(x, result.shortcut);
  }
  const Values normed = norm(parameters, "final_norm/", x);
  if (options_.objective.kind != model::ObjectiveKind::kReward) head(parameters, normed, batch, step, result);
  if (options_.objective.compares()) compare(parameters, normed, batch, step, result);
  if (step.training) predict_further(parameters, normed, batch, step, result);
  return result;
}

}  // namespace troupe::reference
