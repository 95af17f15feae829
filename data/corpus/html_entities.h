#pragma once
#include <string>
#include <string_view>

namespace troupe::data::detail {

/// Appends `text` with its character references (&amp; &#233; &#xe9;) replaced. Unknown ones stay as written.
void append_unescaped(std::string_view text, std::string& out);

}  // namespace troupe::data::detail
