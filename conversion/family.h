#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conversion/aspects.h"
#include "conversion/tensor_names.h"

namespace troupe::conversion {

/// A kind of model of Hugging Face's transformers: what its config.json says, and how its tensors are called.
/// One description serves both directions.
struct Family {
  std::string model_type;    // of config.json
  std::string architecture;  // the class
  Aspects aspects;
  TensorNames names;
  std::string length_key = "max_position_embeddings";  // the longest context; says nothing of the function
};

/// In the order in which they are told to users.
[[nodiscard]] const std::vector<Family>& families();
/// kConfig, naming those that there are, for another model_type.
[[nodiscard]] const Family& family_named(std::string_view model_type);

}  // namespace troupe::conversion
