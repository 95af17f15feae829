#pragma once
#include <string>
#include <string_view>

#include "data/tokenizer/vocabulary.h"

namespace troupe::data {

/// The text as the rules want it before it is cut into words: composed (Unicode's form C, by ICU), and "▁"
/// for spaces with one before the text. `first`: whether the piece begins the text. Bytes that are no UTF-8
/// stay.
[[nodiscard]] std::string normalise(std::string_view text, const TokenizerRules& rules, bool first);

}  // namespace troupe::data
