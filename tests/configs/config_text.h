#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "configs/load.h"

namespace troupe::configs::testing {

inline RunConfig parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_config(text, "run.yaml", overrides);
}

/// "KEY=VALUE KEY=VALUE" as overrides.
inline std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

/// The mistakes that are found, one a line; empty when there are none.
inline std::string mistakes(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    static_cast<void>(parse(text, overrides));
    return "";
  } catch (const Error& error) {
    return error.code() == ErrorCode::kConfig ? error.what() : std::string("another error: ") + error.what();
  }
}

}  // namespace troupe::configs::testing
