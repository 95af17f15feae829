#pragma once
#include <filesystem>
#include <string>

#include "configs/run_config.h"
#include "conversion/family.h"

namespace troupe::conversion {

/// What a config.json says.
struct ReadConfig {
  const Family* family = nullptr;
  configs::RunConfig run;  // with its model and data.sequence_length; the rest at its defaults
};

/// kConfig, naming the file and the key, for a model_type that is not known, a key that is not, or a value
/// that no option says; kIo.
///   sequence_length: data.sequence_length; 0: what the model was made for, at most 2048
[[nodiscard]] ReadConfig read_config(const std::filesystem::path& path, std::int64_t sequence_length = 0);
[[nodiscard]] ReadConfig parse_config(const json& config, const std::string& file,
                                      std::int64_t sequence_length = 0);

/// The config.json of a model. kConfig, naming the options, when reading it back would give another model.
///   length: the longest context
[[nodiscard]] ordered_json write_config(const Family& family, const model::ModelOptions& options,
                                        std::int64_t vocab_size, std::int64_t length);

/// The family that can say the model; kConfig, with each one's reason, when none can.
[[nodiscard]] const Family& family_for(const model::ModelOptions& options, std::int64_t vocab_size);

/// Options that make two models different functions of their weights, "name: one, other" each.
[[nodiscard]] std::vector<std::string> differences(const model::ModelOptions& one,
                                                   const model::ModelOptions& other);

}  // namespace troupe::conversion
