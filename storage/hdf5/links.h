#pragma once
// Private to storage/hdf5/*.cpp: reaching objects without leaving the file.
#include <string_view>

#include "storage/hdf5/checked.h"

namespace troupe::storage::hdf5 {

/// kCorrupt unless `name` is a relative path of plain components (none empty, "." or "..").
void require_object_name(std::string_view name, const Action& action);

/// Whether every link of the path exists; kCorrupt when one of them is not a hard link.
[[nodiscard]] bool links_exist(const Handle& file, std::string_view name, const Action& action);

/// kCorrupt unless every link of the path exists and is a hard link.
void require_hard_links(const Handle& file, std::string_view name, const Action& action);

}  // namespace troupe::storage::hdf5
