#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "conversion/family.h"

namespace troupe::conversion {

/// An architecture of GGUF files, as llama.cpp computes it.
struct GgufArchitecture {
  std::string model_type;  // of Hugging Face's, whose configuration it takes
  Family family;           // its name, and the names of its tensors
  bool has_experts = false;
  bool needs_head = false;         // a tied one is written as a matrix of its own
  bool needs_all_keys = false;     // as many key and value heads as query heads
  bool dense_first = false;        // the file says how many layers without experts come before the others
  std::optional<bool> normalizes;  // weights of experts, whatever the file says; none: as the file says
};

/// kConfig, naming those that there are, when there is none for a model_type.
[[nodiscard]] const GgufArchitecture& gguf_architecture(std::string_view model_type);

}  // namespace troupe::conversion
