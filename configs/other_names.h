#pragma once
#include <span>
#include <string_view>

namespace troupe::configs {

struct OtherName {
  std::string_view name;    // "learning_rate"
  std::string_view option;  // "optimizer.lr"
};

/// All that are known, by name.
[[nodiscard]] std::span<const OtherName> other_names();

/// The option that other programs (Hugging Face's, Megatron-LM, DeepSpeed, nanoGPT) call `name`:
/// "optimizer.lr" for "learning_rate". Empty when none does.
[[nodiscard]] std::string_view option_of_other_name(std::string_view name);

}  // namespace troupe::configs
