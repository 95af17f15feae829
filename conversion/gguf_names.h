#pragma once
#include <string>
#include <string_view>

#include "conversion/family.h"

namespace troupe::conversion {

/// An architecture of GGUF files, as llama.cpp computes it.
struct GgufArchitecture {
  std::string model_type;  // of Hugging Face's, whose configuration it takes
  Family family;           // its name, and the names of its tensors
  bool has_experts = false;
  bool normalizes_weights = true;  // of experts: what it does, whatever a file says
};

/// kConfig, naming those that there are, when there is none for a model_type.
[[nodiscard]] const GgufArchitecture& gguf_architecture(std::string_view model_type);

}  // namespace troupe::conversion
