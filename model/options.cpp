#include "model/options.h"
namespace troupe::model {

namespace {
constexpr IntegerRange kWidth{1, 1 << 20};
constexpr IntegerRange kHeads{1, 1 << 16};
constexpr IntegerRange kHeadDim{1, 256};  // what the attention kernels hold in their tiles
constexpr IntegerRange kLength{0, std::int64_t{1} << 40};
constexpr RealRange kFactor{1e-6, 1e6};
constexpr RealRange kCap{0.0, 1e6};
constexpr RealRange kDropRate{0.0, 0.999};
}  // namespace

void describe(Fields& fields, NormOptions& options) {
  fields.choice("kind", options.kind, layers::kNormNames,
                "rms: RMSNorm; rms_plus_one: its factor is 1 + weight (Gemma); layer_norm");
  fields.flag("bias", options.bias, "A bias, of a layer_norm");
  fields.choice(
      "placement", options.placement, kNormPlacementNames,
      "pre: x + f(norm(x)); post: norm(x + f(x)); post_residual: x + norm(f(x)); sandwich: before and "
      "after f; parallel: attention and feed-forward read one norm; deepnorm: norm((2 layers)^(1/4) x + "
      "f(x))");
  fields.real("eps", options.eps, {0.0, 1.0}, "Added to the mean square");
}

void describe(Fields& fields, RopeScalingOptions& options) {
  fields.choice(
      "kind", options.kind, kRopeScalingNames,
      "linear: positions divided by factor; llama3: long wavelengths only; yarn: by rotations in the "
      "original context; ntk: theta times factor^(d / (d - 2)) for d rotated channels");
  fields.real("factor", options.factor, {1.0, 1e6}, "How many times longer the context is");
  fields.integer("original_length", options.original_length, {1, std::int64_t{1} << 40},
                 "llama3, yarn: the context before");
  fields.real("low_frequency_factor", options.low_frequency_factor, kFactor,
              "llama3: wavelengths above original_length over this are stretched in full");
  fields.real("high_frequency_factor", options.high_frequency_factor, kFactor,
              "llama3: those below original_length over this are not");
  fields.real("beta_fast", options.beta_fast, kFactor,
              "yarn: channels with more rotations in the original context are not stretched");
  fields.real("beta_slow", options.beta_slow, kFactor, "yarn: those with fewer are, in full");
  fields.flag("truncate", options.truncate, "yarn: round the channels at these two to whole ones");
  fields.real("magnitude", options.magnitude, kNonNegativeReal,
              "yarn: factor on rotated queries and keys; 0: 0.1 ln(factor) + 1");
}

void describe(Fields& fields, RopeOptions& options) {
  fields.real("theta", options.theta, {1.0, 1e12}, "Base of the rotary wavelengths");
  fields.real("fraction", options.fraction, kFraction, "Part of a head that is rotated");
  fields.choice("pairing", options.pairing, kRopePairingNames,
                "Channels that turn together: i and i + half (Llama), or neighbours (GPT-J)");
  fields.group("scaling", options.scaling, "Wavelengths for contexts longer than the original one");
}

void describe(Fields& fields, LatentOptions& options) {
  fields.integer("query_rank", options.query_rank, {0, 1 << 20}, "Width of the queries' latent; 0: none");
  fields.integer("kv_rank", options.kv_rank, kWidth, "Width of the latent of keys and values");
  fields.integer("nope_dim", options.nope_dim, kHeadDim, "Channels of a head that are not rotated");
  fields.integer("rope_dim", options.rope_dim, kHeadDim,
                 "Channels of a head that are; all heads share a key's");
  fields.integer("value_dim", options.value_dim, kHeadDim, "Width of a value");
  fields.real("query_scale", options.query_scale, kFactor, "Factor on queries, and");
  fields.real("kv_scale", options.kv_scale, kFactor, "on the normed latent of keys and values");
}

void describe(Fields& fields, AttentionOptions& options) {
  fields.choice("kind", options.kind, kAttentionNames,
                "mha: kv_heads = heads; mqa: kv_heads = 1; gqa: groups of heads share keys and values; mla: "
                "keys and values from a latent");
  fields.integer("heads", options.heads, kHeads, "Query heads");
  fields.integer("kv_heads", options.kv_heads, kHeads, "Key and value heads; divides heads");
  fields.integer("head_dim", options.head_dim, kHeadDim, "Width of a head");
  fields.integer("query_rank", options.query_rank, {0, 1 << 20},
                 "Width of a normed latent that queries come from; 0: none");
  fields.choice(
      "qk_norm", options.qk_norm, kQkNormNames,
      "RMSNorm before the rotation, on every query and key head, or over the heads together; l2: on "
      "heads, after it, without a weight",
      ChoiceFlags{at(QkNorm::kNone), at(QkNorm::kPerHead)});
  fields.flag("qkv_bias", options.qkv_bias, "Biases on queries, keys and values");
  fields.flag("out_bias", options.out_bias, "A bias on the output projection");
  fields.flag("output_gate", options.output_gate,
              "Multiply what the heads give by the sigmoid of a projection of their input");
  fields.integer("window", options.window, kLength,
                 "Keys that a query sees, itself among them; 0: all before it in its document");
  fields.integer("stride", options.stride, kLength,
                 "s: beyond the window it sees every s-th key, counted from itself, too; 0: none");
  fields.integer("chunk", options.chunk, kLength,
                 "Documents are cut into chunks of this length, and queries see their own; 0: not cut");
  fields.flag("sinks", options.sinks, "A learned logit per head in every softmax, with nothing to give");
  fields.real("softcap", options.softcap, kCap, "c: scores become c tanh(score / c); 0: they do not");
  fields.real("softmax_scale", options.softmax_scale, kCap, "Factor on scores; 0: 1 / sqrt(head_dim)");
  fields.real("temperature", options.temperature, kCap,
              "s: queries grow with their position, in one of the shapes below; 0: as they are");
  fields.choice("temperature_shape", options.temperature_shape, kTemperatureShapeNames,
                "steps: times 1 + s ln(1 + floor((position + 1) / temperature_length)); log: times 1 + s "
                "(ln(position) / ln(temperature_length) - 1) beyond it");
  fields.integer("temperature_length", options.temperature_length, {1, std::int64_t{1} << 40},
                 "Positions from which on the temperature rises");
  fields.choice("positions", options.positions, kPositionsNames,
                "rope: rotary positions; none: order is seen by the causal mask only; alibi: scores fall "
                "with distance");
  if (fields.is_null("rope")) options.positions = Positions::kNone;
  fields.group("rope", options.rope, "Rotary positions; null is positions: none");
  fields.group("latent", options.latent, "Widths of kind: mla, in the place of kv_heads and head_dim");
}

void describe(Fields& fields, FfnOptions& options) {
  fields.choice("activation", options.form.activation, layers::kActivationNames,
                "Of dense layers and experts");
  fields.flag("bias", options.form.bias, "Biases in dense layers and experts");
  fields.optional_integer(
      "intermediate_size", options.intermediate_size, "auto", kWidth,
      "Width of the dense layers; auto: 4 hidden_size, or 2/3 of that with a gate, rounded up "
      "to a multiple of 256");
}

void describe(Fields& fields, EmbeddingOptions& options) {
  fields.real("scale", options.scale, kFactor, "Factor on the rows of tokens");
  fields.integer("positions", options.positions, {0, 1 << 24},
                 "Learned vectors for absolute positions, added to them (GPT-2): how many; 0: none");
}

void describe(Fields& fields, LogitOptions& options) {
  fields.real("scale", options.scale, kFactor, "Factor on them");
  fields.real("softcap", options.softcap, kCap, "c: then they become c tanh(logit / c); 0: they do not");
  fields.flag("bias", options.bias, "A bias on the head");
  fields.flag("normed", options.normed, "Divide every row of the head by its length");
}

void describe(Fields& fields, DropoutOptions& options) {
  fields.real("embedding", options.embedding, kDropRate, "Of elements of the embedding");
  fields.real("attention", options.attention, kDropRate, "Of attention's weights");
  fields.real("ffn", options.ffn, kDropRate, "Of elements that a feed-forward's activation makes");
  fields.real("residual", options.residual, kDropRate,
              "Of elements of what attention and feed-forward add to the residual stream");
}

void describe(Fields& fields, InitOptions& options) {
  fields.choice("kind", options.kind, kInitNames,
                "normal: of one deviation; xavier: in layers sqrt(2 / (rows + columns)) of each matrix");
  fields.real("std", options.std, {0.0, 10.0},
              "Standard deviation of initial weights; drawn again outside 3 of them");
  fields.flag("residual_scaling", options.residual_scaling,
              "Divide it by sqrt(2 layers) where a matrix writes to the residual stream");
}

void describe(Fields& fields, MupOptions& options) {
  fields.integer("base_width", options.base_width, {0, 1 << 20},
                 "hidden_size that lr and initial values were chosen at; 0: what they are here");
  fields.integer("base_head_dim", options.base_head_dim, {0, 256},
                 "head_dim there, where heads grow with the model; 0: as here");
}

void describe(Fields& fields, MtpOptions& options) {
  fields.integer("depth", options.depth, {0, 16},
                 "Tokens behind the next one that are predicted, each by one more block; 0: none");
  fields.real("loss_weight", options.loss_weight, kNonNegativeReal, "Weight of the mean of their losses");
}

void describe(Fields& fields, LossOptions& options) {
  fields.real("z_loss", options.z_loss, kNonNegativeReal, "Coefficient of log^2 Z over the vocabulary");
}

void describe(Fields& fields, ObjectiveOptions& options) {
  fields.choice(
      "kind", options.kind, kObjectiveNames,
      "next_token: cross-entropy; sft: the same on the answers of a corpus prepared with --chat; dpo: "
      "preferences, against the weights that the run begins with; reward: a head for one number, "
      "Bradley-Terry");
  fields.real("beta", options.beta, {1e-6, 1e6}, "Of dpo: how much a log-probability may move, inversely");
}

namespace {

void describe_mixers(Fields& fields, ModelOptions& options) {
  std::vector<std::string> names;
  for (const NamedMixer& mixer : options.mixers) names.push_back(mixer.name);
  fields.named_groups(
      "mixers", "Attention of different kinds, by names: each differs from `attention` in what it sets",
      names,
      [&](const std::vector<std::string>& given) {
        options.mixers.clear();
        for (const std::string& name : given) options.mixers.push_back({name, options.attention});
      },
      [&](std::size_t index) { describe(fields, options.mixers[index].options); });
  fields.texts("layer_pattern", options.layer_pattern,
               "Mixers of the layers by name, repeated over them; name*3 is three layers");
  fields.text_map("layer_exceptions", options.layer_exceptions,
                  "Layers, numbered from 0, with another mixer than the pattern's");
}

}  // namespace

void describe(Fields& fields, ModelOptions& options) {
  fields.optional_integer("vocab_size", options.vocab_size, "auto", {2, 1 << 24},
                          "Rows of the embedding; auto: the tokenizer's, padded to a multiple of 128");
  fields.integer("hidden_size", options.hidden_size, kWidth, "Width of the residual stream");
  fields.integer("layers", options.layers, {1, 10'000}, "Blocks of attention and feed-forward");
  fields.flag("tie_embeddings", options.tie_embeddings, "The head is the embedding's matrix");
  fields.real("residual_multiplier", options.residual_multiplier, kFactor,
              "Factor on what attention and feed-forward add to the residual stream");
  fields.group("dropout", options.dropout, "Probability of elements to be 0 while training");
  fields.group("embedding", options.embedding, "Embedding of tokens and positions");
  fields.group("norm", options.norm, "Norms of attention and feed-forward, and the last one");
  fields.group("attention", options.attention, "Attention");
  describe_mixers(fields, options);
  fields.group("ffn", options.ffn, "Feed-forward of the dense layers");
  fields.group("moe", options.moe, "Mixture of experts");
  fields.group("mtp", options.mtp, "Multi-token prediction while training (DeepSeek-V3)");
  fields.group("logits", options.logits, "What the head makes");
  fields.group("init", options.init, "Initial weights");
  fields.group("mup", options.mup,
               "Initial values, learning rates and scales by width (maximal update parametrization)");
  fields.group("loss", options.loss, "Loss");
}

}  // namespace troupe::model
