#include "model/options.h"

namespace troupe::model {

namespace {
constexpr IntegerRange kWidth{1, 1 << 20};
constexpr IntegerRange kHeads{1, 1 << 16};
constexpr IntegerRange kHeadDim{1, 256};  // what the attention kernels hold in their tiles
}  // namespace

void describe(Fields& fields, NormOptions& options) {
  fields.real("eps", options.eps, {0.0, 1.0}, "Added to the mean square");
}

void describe(Fields& fields, RopeOptions& options) {
  fields.real("theta", options.theta, {1.0, 1e12}, "Base of the rotary wavelengths");
  fields.real("fraction", options.fraction, kFraction, "Part of a head that is rotated");
}

void describe(Fields& fields, AttentionOptions& options) {
  fields.choice("kind", options.kind, kAttentionNames,
                "mha: kv_heads = heads; mqa: kv_heads = 1; gqa: groups of heads share keys and values");
  fields.integer("heads", options.heads, kHeads, "Query heads");
  fields.integer("kv_heads", options.kv_heads, kHeads, "Key and value heads; divides heads");
  fields.integer("head_dim", options.head_dim, kHeadDim, "Width of a head");
  fields.flag("qk_norm", options.qk_norm, "RMSNorm on every query and key head, before the rotation");
  fields.group("rope", options.rope, "Rotary positions");
}

void describe(Fields& fields, FfnOptions& options) {
  fields.choice("activation", options.form.activation, layers::kActivationNames,
                "Of dense layers and experts");
  fields.flag("bias", options.form.bias, "Biases in dense layers and experts");
  fields.integer("intermediate_size", options.intermediate_size, kWidth, "Width of the dense layers");
}

void describe(Fields& fields, InitOptions& options) {
  fields.real("std", options.std, {0.0, 10.0},
              "Standard deviation of initial weights; drawn again outside 3 of them");
}

void describe(Fields& fields, LossOptions& options) {
  fields.real("z_loss", options.z_loss, kNonNegativeReal, "Coefficient of log^2 Z over the vocabulary");
}

void describe(Fields& fields, ModelOptions& options) {
  fields.optional_integer("vocab_size", options.vocab_size, "auto", {2, 1 << 24},
                          "Rows of the embedding; auto: the tokenizer's, padded to a multiple of 128");
  fields.integer("hidden_size", options.hidden_size, kWidth, "Width of the residual stream");
  fields.integer("layers", options.layers, {1, 10'000}, "Blocks of attention and feed-forward");
  fields.flag("tie_embeddings", options.tie_embeddings, "The head is the embedding's matrix");
  fields.group("norm", options.norm, "RMSNorm, before each sublayer");
  fields.group("attention", options.attention, "Attention");
  fields.group("ffn", options.ffn, "Feed-forward of the dense layers");
  fields.group("moe", options.moe, "Mixture of experts");
  fields.group("init", options.init, "Initial weights");
  fields.group("loss", options.loss, "Loss");
}

}  // namespace troupe::model
