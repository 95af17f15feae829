#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/fields.h"
#include "experts/options.h"
#include "layers/options.h"

namespace troupe::model {

/// `model.norm`: RMSNorm before each sublayer.
struct NormOptions {
  double eps = 1e-6;
};

enum class AttentionKind { kMha, kMqa, kGqa };  // mha and mqa only state what kv_heads must be
inline constexpr std::array<std::string_view, 3> kAttentionNames{"mha", "mqa", "gqa"};

struct RopeOptions {
  double theta = 10000.0;
  double fraction = 1.0;  // of head_dim that is rotated
};

struct AttentionOptions {
  AttentionKind kind = AttentionKind::kGqa;
  std::int64_t heads = 8;
  std::int64_t kv_heads = 4;
  std::int64_t head_dim = 32;
  bool qk_norm = true;
  RopeOptions rope;
};

struct FfnOptions {
  layers::FfnForm form;                  // of dense layers and experts
  std::int64_t intermediate_size = 704;  // of the dense layers
};

struct InitOptions {
  double std = 0.02;  // truncated normal, ±3 std
};

struct LossOptions {
  double z_loss = 0.0;  // coefficient of log²Z over the vocabulary
};

struct ModelOptions {
  std::optional<std::int64_t> vocab_size;  // auto: the tokenizer's, padded to a multiple of 128
  std::int64_t hidden_size = 256;
  std::int64_t layers = 4;
  bool tie_embeddings = true;
  NormOptions norm;
  AttentionOptions attention;
  FfnOptions ffn;
  experts::MoeOptions moe;
  InitOptions init;
  LossOptions loss;
};

void describe(Fields& fields, NormOptions& options);
void describe(Fields& fields, RopeOptions& options);
void describe(Fields& fields, AttentionOptions& options);
void describe(Fields& fields, FfnOptions& options);
void describe(Fields& fields, InitOptions& options);
void describe(Fields& fields, LossOptions& options);
void describe(Fields& fields, ModelOptions& options);

}  // namespace troupe::model
