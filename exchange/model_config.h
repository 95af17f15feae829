#pragma once
#include <filesystem>
#include <string>

#include "configs/run_config.h"
#include "exchange/family.h"

namespace troupe::exchange {

/// What a config.json says.
struct ReadConfig {
  const Family* family = nullptr;
  configs::RunConfig run;                    // with its model; the rest at its defaults
  std::int64_t max_position_embeddings = 0;  // 0: it does not say
};

/// kConfig, naming the file and the key, for a model_type that is not known, a key that is not, or a value
/// that no option says; kIo.
[[nodiscard]] ReadConfig read_config(const std::filesystem::path& path);
[[nodiscard]] ReadConfig parse_config(const json& config, const std::string& file);

/// The config.json of a model. kConfig, naming the options, when reading it back would give another model.
///   length: max_position_embeddings
[[nodiscard]] ordered_json write_config(const Family& family, const model::ModelOptions& options,
                                        std::int64_t vocab_size, std::int64_t length);

/// The family that can say the model; kConfig, with each one's reason, when none can.
[[nodiscard]] const Family& family_for(const model::ModelOptions& options, std::int64_t vocab_size);

/// Options that make two models different functions of their weights, "name: one, other" each.
[[nodiscard]] std::vector<std::string> differences(const model::ModelOptions& one,
                                                   const model::ModelOptions& other);

}  // namespace troupe::exchange
