#include "base/json_outline.h"

#include <algorithm>

namespace troupe {

JsonOutline json_outline(std::string_view text) {
  JsonOutline outline;
  std::int64_t depth = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '\\') ++at;  // and what it stands before
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '[' || c == '{') outline.depth = std::max(outline.depth, ++depth);
    if (c == ']' || c == '}') --depth;
    if (c == ':' && depth == 1) ++outline.members;
  }
  return outline;
}

}  // namespace troupe
