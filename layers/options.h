#pragma once
#include <array>
#include <string_view>

#include "tensor/ops/activation/kind.h"

namespace troupe::layers {

using ops::Activation;
inline constexpr std::array<std::string_view, 10> kActivationNames{
    "swiglu", "geglu", "reglu", "relu2", "gelu", "clamped_swiglu", "geglu_tanh", "gelu_tanh", "relu", "silu"};

enum class NormKind { kRms, kRmsPlusOne, kLayerNorm };
inline constexpr std::array<std::string_view, 3> kNormNames{"rms", "rms_plus_one", "layer_norm"};

/// What every norm of a model is made of.
struct NormForm {
  NormKind kind = NormKind::kRms;
  bool bias = false;  // of a layer_norm
  double eps = 1e-6;
};

/// What every feed-forward of a model is made of, dense or expert.
struct FfnForm {
  Activation activation = Activation::kSwiGlu;
  bool bias = false;
};

}  // namespace troupe::layers
