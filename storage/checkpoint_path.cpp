#include "storage/checkpoint_path.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;

/// The path without a trailing slash, absolute, so that it has a name.
fs::path normalized(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error).lexically_normal();
  if (error) throw Error(ErrorCode::kIo, "{}: {}", path.string(), error.message());
  return whole.has_filename() ? whole : whole.parent_path();
}

bool is_checkpoint(const fs::path& path) {
  return checkpoint_step(path.filename().string()).has_value() || path_exists(path / kManifestFile);
}

/// The folder of checkpoints that the path means.
fs::path store_folder(const fs::path& path) {
  if (path_exists(path / kCheckpointsFolder)) return path / kCheckpointsFolder;
  if (path.filename() == kCheckpointsFolder && path_exists(path)) return path;
  throw Error(ErrorCode::kConfig,
              "{} is neither a run folder (which has '{}/'), nor that folder, nor a checkpoint ('step-…')",
              path.string(), kCheckpointsFolder);
}

}  // namespace

std::vector<CheckpointSummary> find_checkpoints(const fs::path& path) {
  const fs::path whole = normalized(path);
  if (!is_checkpoint(whole)) return CheckpointStore(store_folder(whole)).list();
  if (!path_exists(whole)) throw Error(ErrorCode::kConfig, "there is no checkpoint {}", whole.string());
  return {summarize_checkpoint(whole)};
}

fs::path find_checkpoint(const fs::path& path) {
  const fs::path whole = normalized(path);
  const auto checkpoints = find_checkpoints(path);
  if (is_checkpoint(whole)) return whole;
  if (!checkpoints.empty() && checkpoints.front().usable()) return checkpoints.front().folder;
  if (checkpoints.empty()) throw Error(ErrorCode::kConfig, "{} has no checkpoint yet", whole.string());
  throw Error(ErrorCode::kCorrupt, "{} has no usable checkpoint: {}", whole.string(),
              checkpoints.front().problem);
}

}  // namespace troupe::storage
