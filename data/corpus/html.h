#pragma once
#include <string>
#include <string_view>

namespace troupe::data {

/// The text of an HTML page: tags are dropped, block elements begin a new line or paragraph, entities
/// become characters, runs of space become one (except inside <pre>), and scripts, styles, comments and the
/// title are left out. Takes any bytes; what is no HTML stays as text. UTF-8 in, UTF-8 out.
[[nodiscard]] std::string html_to_text(std::string_view html);

}  // namespace troupe::data
