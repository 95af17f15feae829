#pragma once
#include <filesystem>
#include <vector>

#include "storage/checkpoint_store.h"

namespace troupe::storage {

// People name a run folder, its `checkpoints` folder, or one checkpoint. Both functions throw kConfig,
// with what was expected, when the path is none of these.

/// The checkpoints that the path means, as CheckpointStore::list gives them; one for a checkpoint.
[[nodiscard]] std::vector<CheckpointSummary> find_checkpoints(const std::filesystem::path& path);

/// The checkpoint that the path means: itself, or the newest usable one. kConfig when there is none.
[[nodiscard]] std::filesystem::path find_checkpoint(const std::filesystem::path& path);

}  // namespace troupe::storage
