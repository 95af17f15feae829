#pragma once
#include <cstdint>
#include <filesystem>

namespace troupe::coordinator {

/// Cuts a metrics.jsonl back to the lines whose `step` is at most `step`; lines that are not whole JSON
/// objects with a step (torn by a crash) go too. The file is replaced in one piece; a missing one stays so.
/// Returns whether an evaluation of `step` is there.
bool cut_metrics_file(const std::filesystem::path& file, std::int64_t step);

}  // namespace troupe::coordinator
