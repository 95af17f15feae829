#pragma once
#include <span>
#include <string>
#include <string_view>

#include "base/fields.h"

namespace troupe::configs {

// How kinds of options are called, in messages and on the reference page.

/// "an integer from 1 to 65535", "an integer of at least 1", "0"
[[nodiscard]] std::string integer_kind(IntegerRange range);
/// "a number from 0 to 1", "a number of at least 0"
[[nodiscard]] std::string real_kind(RealRange range);
/// "one of cpu, cuda", "cpu"
[[nodiscard]] std::string choice_kind(std::span<const std::string_view> names);

// How values are written in YAML; reading them gives the same value.

/// The shortest text that reads back as the same number.
[[nodiscard]] std::string real_text(double value);
/// Quoted unless it is a plain word that cannot be taken for anything but text.
[[nodiscard]] std::string text_text(std::string_view value);
[[nodiscard]] std::string schedule_text(const Schedule& value);

}  // namespace troupe::configs
