#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "comm/control/messages/messages.h"

namespace troupe::coordinator {

/// Layers and counts of the last `steps` steps in a run's metrics file, oldest first: what windows over steps
/// go on from after a resume. Nothing where there is no file.
[[nodiscard]] std::vector<std::vector<comm::LayerLoad>> read_recent_loads(const std::filesystem::path& file,
                                                                          std::size_t steps);

/// The newest step that has its line in a metrics.jsonl; -1: none has.
[[nodiscard]] std::int64_t newest_step_in(const std::filesystem::path& file);

}  // namespace troupe::coordinator
