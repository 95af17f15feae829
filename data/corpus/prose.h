#pragma once
#include <string>
#include <string_view>

namespace troupe::data {

/// The paragraphs of a text (what stands between blank lines) that read as sentences, without indentation and
/// with a blank line after each. Left out is what a model would otherwise learn first, as it repeats: tables,
/// indices, listings, headings, and notes about copyright and licences. text: valid UTF-8, Unix line ends
[[nodiscard]] std::string keep_prose(std::string_view text);

}  // namespace troupe::data
