#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/sources/faults.h"
#include "data/sources/input_reader.h"

namespace troupe::data {

/// How far an unfinished preparation got: everything before `position` is in the spool.
struct Journal {
  std::string inputs;  // hash of the request
  InputPosition position = {};
  std::int64_t documents = 0;  // in the spool
  std::int64_t bands = 0;      // of near duplicates
  std::vector<std::string> domains = {};
  FaultCounts faults = {};

  bool operator==(const Journal&) const = default;
};

/// Nothing when the folder has no journal that can be read: the preparation begins anew.
[[nodiscard]] std::optional<Journal> read_journal(const std::filesystem::path& folder);
void write_journal(const Journal& journal, const std::filesystem::path& folder);

}  // namespace troupe::data
