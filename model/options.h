#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.h"
#include "experts/options.h"
#include "layers/options.h"
#include "tensor/ops/rope/pairing.h"

namespace troupe::model {

/// With f a mixer or a feed-forward:
///   kPre           x + f(norm(x))
///   kPost          norm(x + f(x)) (arXiv 1706.03762)
///   kPostResidual  x + norm(f(x)) (arXiv 2501.00656)
///   kSandwich      x + norm(f(norm(x))) (arXiv 2408.00118)
///   kParallel      x + mixer(norm(x)) + ffn(norm(x)), one norm for both (GPT-J)
///   kDeepNorm      norm(α x + f(x)), α = (2 layers)^(1/4) (arXiv 2203.00555)
enum class NormPlacement { kPre, kPost, kPostResidual, kSandwich, kParallel, kDeepNorm };
inline constexpr std::array<std::string_view, 6> kNormPlacementNames{"pre",      "post",     "post_residual",
                                                                     "sandwich", "parallel", "deepnorm"};

/// `model.norm`
struct NormOptions : layers::NormForm {
  NormPlacement placement = NormPlacement::kPre;
};

/// mha and mqa only state what kv_heads must be; mla: latent keys and values (arXiv 2405.04434).
enum class AttentionKind { kMha, kMqa, kGqa, kMla };
inline constexpr std::array<std::string_view, 4> kAttentionNames{"mha", "mqa", "gqa", "mla"};

/// kL2: of each head, without a weight, after the rotation (Llama 4).
enum class QkNorm { kNone, kPerHead, kFull, kL2 };
inline constexpr std::array<std::string_view, 4> kQkNormNames{"none", "per_head", "full", "l2"};

/// kAlibi: scores fall linearly with distance (arXiv 2108.12409).
enum class Positions { kRope, kNone, kAlibi };
inline constexpr std::array<std::string_view, 3> kPositionsNames{"rope", "none", "alibi"};

/// How queries grow with their position:
///   kSteps  1 + s ln(1 + floor((position + 1) / length)) (Llama 4)
///   kLog    1 + s (ln(position) / ln(length) - 1) from length on (Grok-2, with s = 1)
enum class TemperatureShape { kSteps, kLog };
inline constexpr std::array<std::string_view, 2> kTemperatureShapeNames{"steps", "log"};

using ops::RopePairing;
inline constexpr std::array<std::string_view, 2> kRopePairingNames{"halves", "interleaved"};

enum class RopeScalingKind { kNone, kLinear, kLlama3, kYarn, kNtk };
inline constexpr std::array<std::string_view, 5> kRopeScalingNames{"none", "linear", "llama3", "yarn", "ntk"};

/// How wavelengths are stretched to contexts longer than trained ones (model/rope_frequencies.h).
struct RopeScalingOptions {
  RopeScalingKind kind = RopeScalingKind::kNone;
  double factor = 1.0;
  std::int64_t original_length = 8192;  // of the context before
  double low_frequency_factor = 1.0;    // llama3
  double high_frequency_factor = 4.0;
  double beta_fast = 32.0;  // yarn: rotations in the original context above which nothing is stretched,
  double beta_slow = 1.0;   // and below which all is
  bool truncate = true;     // yarn: the channels of these are rounded to whole ones
  double magnitude = 0.0;   // yarn, of rotated queries and keys; 0: 0.1 ln(factor) + 1
};

struct RopeOptions {
  double theta = 10000.0;
  double fraction = 1.0;  // of head_dim that is rotated
  RopePairing pairing = RopePairing::kHalves;
  RopeScalingOptions scaling;
};

/// Of kind mla, in the place of head_dim and kv_heads.
struct LatentOptions {
  std::int64_t query_rank = 0;  // 0: queries without a latent
  std::int64_t kv_rank = 64;
  std::int64_t nope_dim = 32;  // of a head: not rotated,
  std::int64_t rope_dim = 16;  // rotated, and its key shared by all heads
  std::int64_t value_dim = 32;
  double query_scale = 1.0;  // factors on the normed latents (LongCat-Flash)
  double kv_scale = 1.0;
};

/// `model.attention`, or one of `model.mixers`.
struct AttentionOptions {
  AttentionKind kind = AttentionKind::kGqa;
  std::int64_t heads = 8;
  std::int64_t kv_heads = 4;
  std::int64_t head_dim = 32;
  std::int64_t query_rank = 0;  // of a latent that queries come from (MFA, arXiv 2507.19427); 0: none
  QkNorm qk_norm = QkNorm::kPerHead;
  bool qkv_bias = false;
  bool out_bias = false;
  bool output_gate = false;    // what heads give times the sigmoid of a projection of their input
  std::int64_t window = 0;     // keys that a query sees, itself among them; 0: all
  std::int64_t stride = 0;     // s: and every s-th key before it (arXiv 1904.10509); 0: none
  std::int64_t chunk = 0;      // a document is cut into chunks of this size, which see nothing else; 0: none
  bool sinks = false;          // a learned logit per head that takes part in the softmax
  double softcap = 0.0;        // c: scores become c tanh(score / c); 0: none
  double softmax_scale = 0.0;  // factor on scores; 0: 1 / sqrt(head_dim)
  double temperature = 0.0;    // s of TemperatureShape; 0: queries stay as they are
  TemperatureShape temperature_shape = TemperatureShape::kSteps;
  std::int64_t temperature_length = 8192;
  Positions positions = Positions::kRope;
  RopeOptions rope;
  LatentOptions latent;
};

struct NamedMixer {
  std::string name;
  AttentionOptions options;
};

struct FfnOptions {
  layers::FfnForm form;                                 // of dense layers and experts
  std::optional<std::int64_t> intermediate_size = 704;  // of the dense layers; auto: as ffn_width() says
};

struct EmbeddingOptions {
  double scale = 1.0;          // factor on its rows
  std::int64_t positions = 0;  // rows of a table of learned absolute positions; 0: none
};

struct LogitOptions {
  double scale = 1.0;    // factor
  double softcap = 0.0;  // c: then c tanh(logit / c); 0: none
  bool bias = false;     // learned, of the head
  bool normed = false;   // with rows of the head that are divided by their lengths (Ling 1.5)
};

/// Probabilities while training.
struct DropoutOptions {
  double embedding = 0.0;
  double attention = 0.0;  // of its weights
  double ffn = 0.0;        // of what its activation makes
  double residual = 0.0;   // of what a mixer or feed-forward adds to the residual stream
};

/// kNormal: std for every matrix. kXavier: sqrt(2 / (rows + columns)) for those of the layers.
enum class InitKind { kNormal, kXavier };
inline constexpr std::array<std::string_view, 2> kInitNames{"normal", "xavier"};

struct InitOptions {
  InitKind kind = InitKind::kNormal;
  double std = 0.02;             // truncated normal, ±3 std
  bool residual_scaling = true;  // what writes to the residual stream: std / sqrt(2 layers)
};

/// `model.mup`: maximal update parametrization (arXiv 2203.03466, table 8). A model of hidden_size =
/// base_width is as without it; in one m times as wide, with all else m times as wide, initial values,
/// learning rates and scales are such that what was tuned for the base goes on to be right.
struct MupOptions {
  std::int64_t base_width = 0;     // 0: none
  std::int64_t base_head_dim = 0;  // of the base, where heads grow, too; 0: they are as wide there

  [[nodiscard]] bool on() const { return base_width > 0; }
};

/// Multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2; model/mtp_module.h).
struct MtpOptions {
  std::int64_t depth = 0;    // modules, each with a block, for as many tokens behind the next one; 0: none
  double loss_weight = 0.3;  // λ, of the mean of their losses
};

struct LossOptions {
  double z_loss = 0.0;  // coefficient of log²Z over the vocabulary
};

/// What is minimised.
enum class ObjectiveKind {
  kNextToken,  // cross-entropy of the next token, where the corpus trains it
  kSft,        // the same, of a corpus that has context
  kDpo,        // direct preference optimization (arXiv 2305.18290)
  kReward,     // Bradley-Terry, of a model with a head for one number
};
inline constexpr std::array<std::string_view, 4> kObjectiveNames{"next_token", "sft", "dpo", "reward"};

/// `objective`, at the top of a configuration.
struct ObjectiveOptions {
  ObjectiveKind kind = ObjectiveKind::kNextToken;
  double beta = 0.1;  // of dpo

  /// Whether it learns from pairs of answers.
  [[nodiscard]] bool compares() const {
    return kind == ObjectiveKind::kDpo || kind == ObjectiveKind::kReward;
  }
  [[nodiscard]] bool is_reward() const { return kind == ObjectiveKind::kReward; }
};

struct ModelOptions {
  std::optional<std::int64_t> vocab_size;  // auto: the tokenizer's, padded to a multiple of 128
  std::int64_t hidden_size = 256;
  std::int64_t layers = 4;
  bool tie_embeddings = true;
  double residual_multiplier = 1.0;  // on what a mixer or feed-forward adds to the residual stream
  DropoutOptions dropout;
  EmbeddingOptions embedding;
  NormOptions norm;
  AttentionOptions
      attention;  // the mixer of every layer, unless `mixers` has some: then what these begin with
  std::vector<NamedMixer> mixers;
  std::vector<std::string> layer_pattern;               // of mixers, NAME or NAME*COUNT; repeated
  std::map<std::string, std::string> layer_exceptions;  // layer number: mixer
  FfnOptions ffn;
  experts::MoeOptions moe;
  MtpOptions mtp;
  LogitOptions logits;
  InitOptions init;
  MupOptions mup;
  LossOptions loss;
  ObjectiveOptions objective;  // described by itself: it decides the head
};

/// `layer_pattern` with NAME*COUNT written out. kConfig on what is no count, or a pattern of more than 10
/// 000.
[[nodiscard]] std::vector<std::string> expanded_pattern(const ModelOptions& options);
/// The mixer of every layer. kConfig naming a mixer that a layer shall have and that there is not.
[[nodiscard]] std::vector<AttentionOptions> layer_mixers(const ModelOptions& options);

void describe(Fields& fields, NormOptions& options);
void describe(Fields& fields, RopeScalingOptions& options);
void describe(Fields& fields, RopeOptions& options);
void describe(Fields& fields, LatentOptions& options);
void describe(Fields& fields, AttentionOptions& options);
void describe(Fields& fields, FfnOptions& options);
void describe(Fields& fields, EmbeddingOptions& options);
void describe(Fields& fields, LogitOptions& options);
void describe(Fields& fields, DropoutOptions& options);
void describe(Fields& fields, InitOptions& options);
void describe(Fields& fields, MupOptions& options);
void describe(Fields& fields, MtpOptions& options);
void describe(Fields& fields, LossOptions& options);
void describe(Fields& fields, ObjectiveOptions& options);
void describe(Fields& fields, ModelOptions& options);

}  // namespace troupe::model
