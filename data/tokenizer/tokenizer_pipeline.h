#pragma once
// Private to data/tokenizer/*.cpp: what stands around the model in a tokenizer.json.
#include <nlohmann/json.hpp>
#include <string>

#include "data/tokenizer/vocabulary.h"

namespace troupe::data {

/// normalizer, pre_tokenizer, decoder and the model's flags. kCorrupt, with the place, for a stage that is
/// not one of those that TokenizerRules can say.
[[nodiscard]] TokenizerRules read_rules(const nlohmann::json& document, const std::string& name);

/// The special token that post_processor puts before a text; empty: none.
[[nodiscard]] std::string read_begin_of_text(const nlohmann::json& document, const std::string& name);

}  // namespace troupe::data
