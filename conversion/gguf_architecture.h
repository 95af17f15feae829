#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "conversion/family.h"
#include "conversion/gguf_facts.h"
#include "model/options.h"

namespace troupe::conversion {

/// An architecture of GGUF files, as llama.cpp computes it.
struct GgufArchitecture {
  std::string model_type;  // of Hugging Face's: what it can say, this one says or refuses
  Family family;           // its name, and the names of its tensors
  std::vector<GgufFact> facts;
  bool needs_head = false;  // a tied one is written as a matrix of its own
};

/// What a file has of a model: not its modules of multi-token prediction, which llama.cpp writes without.
[[nodiscard]] model::ModelOptions gguf_model(model::ModelOptions options);

/// kConfig, naming those that there are, when there is none for a model_type.
[[nodiscard]] const GgufArchitecture& gguf_architecture(std::string_view model_type);

}  // namespace troupe::conversion
