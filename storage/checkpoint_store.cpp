#include "storage/checkpoint_store.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "storage/verify.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporaryPrefix = ".tmp-";
constexpr std::string_view kAsidePrefix = ".aside-";
constexpr std::string_view kFinalPrefix = "step-";

/// Names in a folder, sorted; none when it does not exist.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw Error(ErrorCode::kIo, "cannot list {}: {}", folder.string(), error.message());
  }
  std::ranges::sort(names);
  return names;
}

FileDescription write_virtual_file(const fs::path& folder, const Manifest& manifest) {
  hdf5::File file = hdf5::File::create_in_memory(std::string(kVirtualFile));
  for (const TensorEntry& tensor : manifest.tensors) {
    std::vector<hdf5::VirtualSource> sources;
    for (const TensorSlice& slice : tensor.slices) {
      sources.push_back({slice.file, range_dataset(tensor.name, slice.begin), slice.begin, slice.count});
    }
    file.create_virtual_dataset(tensor.name, tensor.type, tensor.shape.sizes(), sources);
  }
  file.set_attribute("/", "step", manifest.metadata.step);
  file.set_attribute("/", "tokens_total", manifest.metadata.tokens_total);
  return write_verified(folder / kVirtualFile, file.image());
}

/// Everything of a checkpoint that is not a worker's.
void complete(const fs::path& attempt, const CheckpointMetadata& metadata,
              const std::vector<ShardDescription>& shards) {
  Manifest manifest = assemble_manifest(metadata, shards);
  check_manifest(manifest);
  for (const FileDescription& file : manifest.files) require_size(attempt, file);
  manifest.files.push_back(write_virtual_file(attempt, manifest));
  std::ranges::sort(manifest.files, {}, &FileDescription::name);
  check_manifest(manifest);
  const std::string text = serialize_manifest(manifest);
  (void)write_verified(attempt / kManifestFile, std::as_bytes(std::span(text)));
  sync_folder(attempt);
}

void warn_of(const CheckpointSummary& checkpoint) {
  log::warn("checkpoint {} is not used; {}", checkpoint.folder.string(), checkpoint.state());
}

/// Removes an attempt that failed, without hiding why it failed.
void discard(const fs::path& attempt) {
  try {
    remove_tree(attempt);
  } catch (const Error& error) {
    log::warn("{}", error.what());
  }
}

}  // namespace

std::optional<std::int64_t> checkpoint_step(std::string_view name) {
  if (!name.starts_with(kFinalPrefix)) return std::nullopt;
  name.remove_prefix(kFinalPrefix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() ? std::optional(step) : std::nullopt;
}

std::string CheckpointSummary::state() const {
  if (usable()) return "complete";
  return (unreadable ? "not readable: " : "damaged: ") + problem;
}

CheckpointSummary summarize_checkpoint(const fs::path& folder) {
  const auto step = checkpoint_step(folder.filename().string());
  CheckpointSummary summary;
  summary.folder = folder;
  summary.step = step.value_or(0);
  try {
    const Manifest manifest = load_manifest(folder);
    const CheckpointMetadata& metadata = manifest.metadata;
    if (step && metadata.step != *step) {
      throw Error(ErrorCode::kCorrupt, "{} holds step {}", folder.string(), metadata.step);
    }
    summary.step = metadata.step;
    summary.timeline = metadata.timeline;
    summary.tokens_total = metadata.tokens_total;
    for (const FileDescription& file : manifest.files) summary.size_bytes += file.size_bytes;
    for (const FileDescription& file : manifest.files) require_size(folder, file);
  } catch (const Error& error) {
    summary.problem = error.what();
    summary.unreadable = error.code() == ErrorCode::kIo;
  }
  return summary;
}

std::string CheckpointStore::temporary_name(std::int64_t step, std::int64_t epoch) {
  return fmt::format("{}{:08}-{}", kTemporaryPrefix, step, epoch);
}

fs::path CheckpointStore::temporary_folder(std::int64_t step, std::int64_t epoch) const {
  return folder_ / temporary_name(step, epoch);
}

fs::path CheckpointStore::final_folder(std::int64_t step) const {
  return folder_ / fmt::format("{}{:08}", kFinalPrefix, step);
}

fs::path CheckpointStore::commit(const CheckpointMetadata& metadata,
                                 const std::vector<ShardDescription>& shards) {
  const fs::path attempt = temporary_folder(metadata.step, metadata.epoch);
  const fs::path target = final_folder(metadata.step);
  try {
    complete(attempt, metadata, shards);
    publish(attempt, target);
  } catch (const Error& error) {
    discard(attempt);
    throw Error(error.code(), "the checkpoint of step {} was not saved: {}", metadata.step, error.what());
  }
  known_intact_[target] = true;  // every file was read back
  return target;
}

void CheckpointStore::publish(const fs::path& attempt, const fs::path& target) const {
  const fs::path aside = folder_ / (std::string(kAsidePrefix) + target.filename().string());
  const bool replaces = path_exists(target);
  if (replaces) {
    remove_tree(aside);
    rename_path(target, aside);
  }
  try {
    rename_path(attempt, target);
  } catch (const Error&) {
    if (replaces) rename_path(aside, target);
    throw;
  }
  sync_folder(folder_);
  remove_tree(aside);
}

void CheckpointStore::abandon(std::int64_t step, std::int64_t epoch) {
  remove_tree(temporary_folder(step, epoch));
}

/// Renamed first, so that an interruption leaves no half of a checkpoint under its name.
void CheckpointStore::remove_checkpoint(const fs::path& folder) const {
  const fs::path doomed = folder_ / fmt::format("{}removed-{}", kTemporaryPrefix, folder.filename().string());
  remove_tree(doomed);
  rename_path(folder, doomed);
  sync_folder(folder_);
  remove_tree(doomed);
}

void CheckpointStore::retain(const Retention& retention) {
  std::int64_t kept = 0;
  for (CheckpointSummary& checkpoint : list()) {
    if (!checkpoint.usable()) continue;
    if (kept < retention.keep) {
      if (is_intact(checkpoint)) kept += 1;
      continue;
    }
    const bool milestone = retention.keep_every > 0 && checkpoint.step % retention.keep_every == 0;
    if (!milestone) remove_checkpoint(checkpoint.folder);
  }
}

bool CheckpointStore::is_intact(CheckpointSummary& checkpoint) {
  const auto known = known_intact_.find(checkpoint.folder);
  if (known != known_intact_.end()) return known->second;
  const VerifyReport report = verify_files(checkpoint.folder);
  if (!report.intact()) {
    checkpoint.problem = report.problems.front();
    checkpoint.unreadable = report.unreadable;
    warn_of(checkpoint);
  }
  known_intact_[checkpoint.folder] = report.intact();
  return report.intact();
}

void CheckpointStore::recover() {
  for (const std::string& name : names_in(folder_)) {
    if (name.starts_with(kTemporaryPrefix)) remove_tree(folder_ / name);
    if (name.starts_with(kAsidePrefix))
      settle_aside(folder_ / name, folder_ / name.substr(kAsidePrefix.size()));
  }
}

void CheckpointStore::settle_aside(const fs::path& aside, const fs::path& target) const {
  if (path_exists(target)) {
    const VerifyReport replacement = verify_files(target);
    if (replacement.intact()) return remove_tree(aside);
    if (replacement.unreadable || !verify_files(aside).intact()) {
      return log::warn("{} is not intact ({}); what it was to replace stays as {}", target.string(),
                       replacement.problems.front(), aside.string());
    }
    log::warn("{} is damaged: what it was to replace comes back ({})", target.string(),
              replacement.problems.front());
    remove_checkpoint(target);
  }
  rename_path(aside, target);
  sync_folder(folder_);
}

std::vector<CheckpointSummary> CheckpointStore::list() const {
  std::vector<CheckpointSummary> checkpoints;
  for (const std::string& name : names_in(folder_)) {
    if (checkpoint_step(name)) checkpoints.push_back(summarize_checkpoint(folder_ / name));
  }
  std::ranges::stable_sort(checkpoints, [](const CheckpointSummary& a, const CheckpointSummary& b) {
    return std::tuple(a.usable(), a.timeline, a.step) > std::tuple(b.usable(), b.timeline, b.step);
  });
  return checkpoints;
}

IntactSearch CheckpointStore::search_intact() {
  IntactSearch found;
  for (CheckpointSummary& checkpoint : list()) {
    if (!checkpoint.usable()) {
      warn_of(checkpoint);
    } else if (found.newest) {
      continue;
    } else if (is_intact(checkpoint)) {
      found.newest = checkpoint.folder;
      continue;
    }
    found.passed_over.push_back(checkpoint);
  }
  return found;
}

std::optional<fs::path> CheckpointStore::newest_intact(
    const std::function<bool(const CheckpointMetadata&)>& wanted) {
  for (CheckpointSummary& checkpoint : list()) {
    if (!checkpoint.usable()) {
      warn_of(checkpoint);
    } else if (wanted(load_manifest(checkpoint.folder).metadata) && is_intact(checkpoint)) {
      return checkpoint.folder;
    }
  }
  return std::nullopt;
}

CheckpointReader CheckpointStore::open(std::int64_t step) const {
  if (path_exists(final_folder(step))) return CheckpointReader(final_folder(step));
  std::string steps;
  for (const CheckpointSummary& checkpoint : list()) {
    if (checkpoint.usable()) steps += fmt::format("{}{}", steps.empty() ? "" : ", ", checkpoint.step);
  }
  throw Error(ErrorCode::kConfig, "{} has no checkpoint of step {}; it has {}", folder_.string(), step,
              steps.empty() ? "none" : steps);
}

CheckpointReader CheckpointStore::open_latest() const {
  const auto checkpoints = list();
  if (!checkpoints.empty() && checkpoints.front().usable())
    return CheckpointReader(checkpoints.front().folder);
  throw Error(ErrorCode::kConfig, "{} has no usable checkpoint", folder_.string());
}

}  // namespace troupe::storage
