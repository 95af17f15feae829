#pragma once
#include <array>
#include <string_view>

#include "tensor/ops/activation/kind.h"

namespace troupe::layers {

using ops::Activation;
inline constexpr std::array<std::string_view, 8> kActivationNames{
    "swiglu", "geglu", "reglu", "relu2", "gelu", "clamped_swiglu", "geglu_tanh", "gelu_tanh"};

/// What every feed-forward of a model is made of, dense or expert.
struct FfnForm {
  Activation activation = Activation::kSwiGlu;
  bool bias = false;
};

}  // namespace troupe::layers
