// Attention of the reference model.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "tests/reference/reference_model.h"

namespace troupe::reference {
namespace {

using model::AttentionOptions;
using model::QkNorm;

/// Angle of pair i of `half` by one position, and the factor on what is turned.
double angle_of(const model::RopeOptions& rope, std::int64_t i, std::int64_t half) {
  const auto& s = rope.scaling;
  const double plain = std::pow(rope.theta, -static_cast<double>(i) / static_cast<double>(half));
  const double turn = 2.0 * std::numbers::pi;
  const auto length = static_cast<double>(s.original_length);
  if (s.kind == model::RopeScalingKind::kLinear) return plain / s.factor;
  if (s.kind == model::RopeScalingKind::kNtk) {
    const auto channels = static_cast<double>(2 * half);
    const double theta = rope.theta * std::pow(s.factor, channels / (channels - 2.0));
    return 1.0 / std::pow(theta, static_cast<double>(2 * i) / channels);
  }
  if (s.kind == model::RopeScalingKind::kLlama3) {
    const double wavelength = turn / plain;
    if (wavelength > length / s.low_frequency_factor) return plain / s.factor;
    if (wavelength < length / s.high_frequency_factor) return plain;
    const double smooth =
        (length / wavelength - s.low_frequency_factor) / (s.high_frequency_factor - s.low_frequency_factor);
    return (1.0 - smooth) * plain / s.factor + smooth * plain;
  }
  if (s.kind == model::RopeScalingKind::kYarn) {
    const auto pair = [&](double rotations) {
      return 2.0 * static_cast<double>(half) * std::log(length / (rotations * turn)) /
             (2.0 * std::log(rope.theta));
    };
    double low = pair(s.beta_fast);
    double high = pair(s.beta_slow);
    if (s.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, 2.0 * static_cast<double>(half) - 1.0);
    if (low == high) high += 0.001;
    const double ramp = std::min(1.0, std::max(0.0, (static_cast<double>(i) - low) / (high - low)));
    return plain / s.factor * ramp + plain * (1.0 - ramp);
  }
  return plain;
}

double magnitude_of(const model::RopeScalingOptions& s) {
  if (s.kind != model::RopeScalingKind::kYarn) return 1.0;
  return s.magnitude > 0.0 ? s.magnitude : 0.1 * std::log(s.factor) + 1.0;
}

/// Turns the first `rotary` of every `dim` channels of x.
void rotate(Values& x, std::int64_t dim, std::int64_t rotary, const model::RopeOptions& rope,
            const Batch& batch) {
  const std::int64_t half = rotary / 2;
  const std::int64_t heads = std::ssize(x) / std::ssize(batch.tokens) / dim;
  const bool halves = rope.pairing == model::RopePairing::kHalves;
  for (std::int64_t row = 0; row < std::ssize(x) / dim; ++row) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = batch.positions[at(row / heads)] * angle_of(rope, i, half);
      double& a = x[at(row * dim + (halves ? i : 2 * i))];
      double& b = x[at(row * dim + (halves ? i + half : 2 * i + 1))];
      const double turned = magnitude_of(rope.scaling) * (a * std::cos(angle) - b * std::sin(angle));
      b = magnitude_of(rope.scaling) * (b * std::cos(angle) + a * std::sin(angle));
      a = turned;
    }
  }
}

std::int64_t first_key(const AttentionOptions& o, const Batch& batch, std::int64_t t) {
  const std::int64_t sequence = t / batch.length * batch.length;
  std::int64_t first = sequence + batch.first_visible[at(t)];
  while (o.window > 0 && o.stride == 0 && t - first >= o.window) ++first;
  while (o.chunk > 0 && batch.positions[at(first)] / o.chunk < batch.positions[at(t)] / o.chunk) ++first;
  return first;
}

Values root_mean_square_normed(const Values& x, std::int64_t n, double eps) {
  Values y = x;
  for (std::int64_t row = 0; row < std::ssize(x) / n; ++row) {
    double squares = 0.0;
    for (std::int64_t i = 0; i < n; ++i) squares += x[at(row * n + i)] * x[at(row * n + i)];
    for (std::int64_t i = 0; i < n; ++i)
      y[at(row * n + i)] /= std::sqrt(squares / static_cast<double>(n) + eps);
  }
  return y;
}

Values part(const Values& all, std::int64_t begin, std::int64_t end) {
  return {all.begin() + begin, all.begin() + end};
}

/// As in the paper's program: of a power of two of heads, or a mixture of two such.
double slope_of(std::int64_t head, std::int64_t heads) {
  std::int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  if (head < power) return std::pow(2.0, -8.0 / static_cast<double>(power) * static_cast<double>(head + 1));
  return std::pow(2.0, -4.0 / static_cast<double>(power) * static_cast<double>(2 * (head - power) + 1));
}

/// Heads of softmax attention. q: [tokens, heads * dim]; k, v: [tokens, kv_heads * dim or value_dim]
struct Heads {
  std::int64_t heads, kv_heads, dim, value_dim;
  double scale;
};

/// What dropout multiplies the weight of a query and the key at `place` of its sequence with.
double kept(const AttentionDrop& drop, const Heads& h, const Batch& batch, std::int64_t t, std::int64_t head,
            std::int64_t place) {
  if (drop.rate == 0.0 || !drop.step.training) return 1.0;
  const Random random(drop.step.seed, RandomPurpose::kAttentionDropout,
                      static_cast<std::uint32_t>(drop.layer));
  const std::int64_t number = (drop.step.first_token + t) * h.heads + head;
  const std::int64_t index = number * ((batch.length + 3) / 4) + place / 4;
  const double uniform = random.words(static_cast<std::uint64_t>(index))[at(place % 4)] / 4294967296.0;
  return uniform < drop.rate ? 0.0 : 1.0 / (1.0 - drop.rate);
}

Values softmax_attention(const AttentionOptions& o, const Heads& h, const Batch& batch, const Values& q,
                         const Values& k, const Values& v, const Values& sinks, const AttentionDrop& drop) {
  Values out(at(std::ssize(batch.tokens) * h.heads * h.value_dim), 0.0);
  for (std::int64_t t = 0; t < std::ssize(batch.tokens); ++t) {
    const std::int64_t start = first_key(o, batch, t);
    for (std::int64_t head = 0; head < h.heads; ++head) {
      const std::int64_t kv = head / (h.heads / h.kv_heads);
      Values scores;
      for (std::int64_t s = start; s <= t; ++s) {
        double dot = 0.0;
        for (std::int64_t i = 0; i < h.dim; ++i)
          dot += q[at((t * h.heads + head) * h.dim + i)] * k[at((s * h.kv_heads + kv) * h.dim + i)];
        dot *= h.scale;
        if (o.softcap > 0.0) dot = o.softcap * std::tanh(dot / o.softcap);
        const bool falls = o.positions == model::Positions::kAlibi;
        if (o.stride > 0 && t - s >= o.window && (t - s) % o.stride != 0)
          dot = -std::numeric_limits<double>::infinity();
        scores.push_back(falls ? dot - slope_of(head, h.heads) * static_cast<double>(t - s) : dot);
      }
      if (!sinks.empty()) scores.push_back(sinks[at(head)]);
      const double lse = log_sum_exp(scores);
      for (std::int64_t s = start; s <= t; ++s) {
        for (std::int64_t i = 0; i < h.value_dim; ++i) {
          out[at((t * h.heads + head) * h.value_dim + i)] += kept(drop, h, batch, t, head, s % batch.length) *
                                                             std::exp(scores[at(s - start)] - lse) *
                                                             v[at((s * h.kv_heads + kv) * h.value_dim + i)];
        }
      }
    }
  }
  return out;
}

}  // namespace

AttentionOptions Model::mixer(std::int64_t layer) const {
  std::string name;
  std::vector<std::string> pattern;
  for (const std::string& item : options_.layer_pattern) {
    const auto star = item.find('*');
    const int count = star == std::string::npos ? 1 : std::stoi(item.substr(star + 1));
    for (int i = 0; i < count; ++i) pattern.push_back(item.substr(0, star));
  }
  if (!pattern.empty()) name = pattern[at(layer % std::ssize(pattern))];
  for (const auto& [number, other] : options_.layer_exceptions)
    if (std::stoll(number) == layer) name = other;
  for (const auto& mixer : options_.mixers)
    if (mixer.name == name) return mixer.options;
  return options_.attention;
}

Values Model::attention(const Parameters& parameters, const std::string& prefix, const Batch& batch,
                        const Values& x, const Step& step) const {
  const std::int64_t number = std::stoll(prefix.substr(prefix.find('/') + 1));
  const std::int64_t layer = prefix.starts_with("mtp/") ? options_.layers + number : number;
  const AttentionOptions o = mixer(std::min(layer, options_.layers - 1));
  const AttentionDrop drop{options_.dropout.attention, layer, step};
  const std::string folder = prefix + "attention/";
  const auto at_name = [&](const char* name) -> const Values& { return parameters.at({folder + name, -1}); };
  const double scale = score_scale(o);
  const Values sinks = o.sinks ? at_name("sinks") : Values();
  if (o.kind == model::AttentionKind::kMla)
    return latent_attention(parameters, folder, o, scale, batch, x, drop);
  const std::int64_t hidden = options_.hidden_size;
  const std::int64_t query = o.heads * o.head_dim;
  const std::int64_t key = o.kv_heads * o.head_dim;
  const bool latent = o.query_rank > 0;
  const std::int64_t in_matrix = latent ? 0 : query;
  Values qkv = linear(x, at_name(latent ? "kv_proj" : "qkv_proj"), hidden);
  if (o.qkv_bias) add_to_rows(qkv, at_name("qkv_bias"));
  Values q, k, v;
  for (std::int64_t t = 0; t < std::ssize(batch.tokens); ++t) {
    const Values row = row_of(qkv, t, in_matrix + 2 * key);
    q.insert(q.end(), row.begin(), row.begin() + in_matrix);
    k.insert(k.end(), row.begin() + in_matrix, row.begin() + in_matrix + key);
    v.insert(v.end(), row.begin() + in_matrix + key, row.end());
  }
  if (latent) {
    const Values normed = norm(at_name("q_latent_norm"), linear(x, at_name("q_down_proj"), hidden));
    q = linear(normed, at_name("q_up_proj"), o.query_rank);
  }
  if (o.qk_norm == QkNorm::kPerHead || o.qk_norm == QkNorm::kFull) {
    q = norm(at_name("q_norm"), q);
    k = norm(at_name("k_norm"), k);
  }
  if (o.positions == model::Positions::kRope) {
    const auto rotary = static_cast<std::int64_t>(static_cast<double>(o.head_dim) * o.rope.fraction) / 2 * 2;
    rotate(q, o.head_dim, rotary, o.rope, batch);
    rotate(k, o.head_dim, rotary, o.rope, batch);
  }
  if (o.qk_norm == QkNorm::kL2) {
    q = root_mean_square_normed(q, o.head_dim, options_.norm.eps);
    k = root_mean_square_normed(k, o.head_dim, options_.norm.eps);
  }
  for (std::int64_t i = 0; i < std::ssize(q); ++i) {
    const auto position = static_cast<double>(batch.positions[at(i / query)] + 1);
    const auto length = static_cast<double>(o.temperature_length);
    const double growth = o.temperature_shape == model::TemperatureShape::kSteps
                              ? std::log(1.0 + std::floor(position / length))
                              : std::max(1.0, std::log(position - 1.0) / std::log(length)) - 1.0;
    q[at(i)] *= 1.0 + o.temperature * growth;
  }
  const Values out =
      softmax_attention(o, {o.heads, o.kv_heads, o.head_dim, o.head_dim, scale}, batch, q, k, v, sinks, drop);
  Values y = linear(gated(parameters, folder, o, x, out), at_name("out_proj"), query);
  if (o.out_bias) add_to_rows(y, at_name("out_bias"));
  return y;
}

Values Model::gated(const Parameters& parameters, const std::string& folder, const AttentionOptions& o,
                    const Values& x, Values out) const {
  if (!o.output_gate) return out;
  Values gate = linear(x, parameters.at({folder + "gate_proj", -1}), options_.hidden_size);
  if (o.qkv_bias) add_to_rows(gate, parameters.at({folder + "gate_bias", -1}));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] *= 1.0 / (1.0 + std::exp(-gate[i]));
  return out;
}

double Model::score_scale(const AttentionOptions& o) const {
  if (o.softmax_scale > 0.0) return o.softmax_scale;
  const bool latent = o.kind == model::AttentionKind::kMla;
  const auto dim = static_cast<double>(latent ? o.latent.nope_dim + o.latent.rope_dim : o.head_dim);
  const auto base = static_cast<double>(options_.mup.base_head_dim);
  return options_.mup.base_width > 0 && base > 0.0 ? std::sqrt(base) / dim : 1.0 / std::sqrt(dim);
}

Values Model::latent_attention(const Parameters& parameters, const std::string& folder,
                               const AttentionOptions& o, double scale, const Batch& batch, const Values& x,
                               const AttentionDrop& drop) const {
  const auto at_name = [&](const char* name) -> const Values& { return parameters.at({folder + name, -1}); };
  const auto& l = o.latent;
  const std::int64_t hidden = options_.hidden_size;
  const std::int64_t dim = l.rope_dim + l.nope_dim;
  const auto tokens = std::ssize(batch.tokens);
  Values q;
  if (l.query_rank > 0) {
    Values latent = norm(at_name("q_norm"), linear(x, at_name("q_down_proj"), hidden));
    for (double& value : latent) value *= l.query_scale;
    q = linear(latent, at_name("q_up_proj"), l.query_rank);
  } else {
    q = linear(x, at_name("q_proj"), hidden);
  }
  const Values down = linear(x, at_name("kv_down_proj"), hidden);  // [tokens, rope_dim + kv_rank]
  Values shared, latent;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const Values row = row_of(down, t, l.rope_dim + l.kv_rank);
    shared.insert(shared.end(), row.begin(), row.begin() + l.rope_dim);
    latent.insert(latent.end(), row.begin() + l.rope_dim, row.end());
  }
  latent = norm(at_name("kv_norm"), latent);
  for (double& value : latent) value *= l.kv_scale;
  const Values up = linear(latent, at_name("kv_up_proj"), l.kv_rank);
  if (o.positions == model::Positions::kRope) {
    rotate(q, dim, l.rope_dim, o.rope, batch);
    rotate(shared, l.rope_dim, l.rope_dim, o.rope, batch);
  }
  Values k, v;  // up: [tokens, heads * nope_dim + heads * value_dim]
  for (std::int64_t t = 0; t < tokens; ++t) {
    const Values row = row_of(up, t, o.heads * (l.nope_dim + l.value_dim));
    for (std::int64_t h = 0; h < o.heads; ++h) {
      const Values turned = row_of(shared, t, l.rope_dim);
      const Values own = part(row, h * l.nope_dim, (h + 1) * l.nope_dim);
      k.insert(k.end(), turned.begin(), turned.end());
      k.insert(k.end(), own.begin(), own.end());
    }
    v.insert(v.end(), row.begin() + o.heads * l.nope_dim, row.end());
  }
  const Values out =
      softmax_attention(o, {o.heads, o.heads, dim, l.value_dim, scale}, batch, q, k, v, {}, drop);
  return linear(gated(parameters, folder, o, x, out), at_name("out_proj"), o.heads * l.value_dim);
}

}  // namespace troupe::reference
