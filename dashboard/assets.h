#pragma once
#include <string_view>

namespace troupe::dashboard {

struct Asset {
  std::string_view path;  // of the URL, "/" for the page
  std::string_view content_type;
  std::string_view content;
};

/// A file of the page, linked into the program: no path of a URL ever names a file on disk.
/// Null when there is none.
[[nodiscard]] const Asset* find_asset(std::string_view path);

}  // namespace troupe::dashboard
