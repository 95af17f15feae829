#pragma once
#include <string>
#include <vector>

#include "base/error.h"
#include "configs/load.h"

namespace troupe::configs::testing {

inline RunConfig parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_config(text, "run.yaml", overrides);
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
