#pragma once
#include <cstdint>
#include <string_view>

namespace troupe {

/// How a JSON text is built, without parsing it: in time by its length and in no memory, whatever it holds.
/// Of text that is no JSON it says something, which the parser then refuses.
struct JsonOutline {
  std::int64_t depth = 0;    // of the deepest object or array; a number alone has 0
  std::int64_t members = 0;  // of the outermost object, as often as they are written
};

/// For untrusted text before a parser makes a tree of it, or leaves out what is written twice.
[[nodiscard]] JsonOutline json_outline(std::string_view text);

}  // namespace troupe
