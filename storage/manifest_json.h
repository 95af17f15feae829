#pragma once
// Private to storage/*.cpp: parts of the manifest as JSON, in the order in which people read them.
#include <nlohmann/json.hpp>

#include "storage/manifest.h"

namespace troupe::storage {

[[nodiscard]] nlohmann::ordered_json to_json(const CheckpointMetadata& metadata);

}  // namespace troupe::storage
