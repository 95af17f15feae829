#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/checkpoint_reader.h"
#include "storage/manifest.h"
#include "storage/shard.h"

namespace troupe::storage {

/// Which checkpoints stay: the newest `keep`, and those whose step is a multiple of `keep_every`
/// (0: none more).
struct Retention {
  std::int64_t keep = 3;
  std::int64_t keep_every = 0;
};

/// A finished folder, as far as one can tell without reading all of it.
struct CheckpointSummary {
  std::filesystem::path folder;
  std::int64_t timeline = 0;  // 0 when the manifest does not say
  std::int64_t step = 0;      // as the name says when the manifest does not
  std::int64_t tokens_total = 0;
  std::int64_t size_bytes = 0;  // of all files
  std::string problem;          // empty: complete, as far as names and sizes tell
  bool unreadable = false;      // the system refused to read it (EIO, EACCES, …), which says nothing of it
  [[nodiscard]] bool usable() const { return problem.empty(); }
  /// "complete", "damaged: …" or "not readable: …"
  [[nodiscard]] std::string state() const;
};

/// What a search for a checkpoint to go on from met.
struct IntactSearch {
  std::optional<std::filesystem::path> newest;  // every byte is as it was written
  std::vector<CheckpointSummary> passed_over;   // newer, or of unknown age; each with its problem
};

/// Name of a store's folder inside its run's.
inline constexpr std::string_view kCheckpointsFolder = "checkpoints";

/// 100 of "step-00000100"; empty for other names.
[[nodiscard]] std::optional<std::int64_t> checkpoint_step(std::string_view name);
/// Reads the manifest and looks at the files' sizes; a problem does not throw.
[[nodiscard]] CheckpointSummary summarize_checkpoint(const std::filesystem::path& folder);

/// The `checkpoints` folder of a run: `step-00000100` and so on, each complete or damaged, never a mix
/// of two. Workers write their files into temporary_folder(step, epoch), the coordinator commits or
/// abandons it. Only the holder of the run folder's lock may change the store; anyone may read it.
/// One thread (the process' storage thread).
class CheckpointStore {
 public:
  explicit CheckpointStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  /// Where the workers of `epoch` write the checkpoint of `step`: ".tmp-00000100-7".
  [[nodiscard]] static std::string temporary_name(std::int64_t step, std::int64_t epoch);
  [[nodiscard]] std::filesystem::path temporary_folder(std::int64_t step, std::int64_t epoch) const;

  /// Publishes what the workers wrote: checks that their files are there and cover every tensor, adds
  /// the virtual file and the manifest, makes all of it durable, renames it to `step-<n>` (one that is
  /// there already is moved aside first) and returns that path. On failure the attempt is removed,
  /// earlier checkpoints are untouched, and Error is thrown.
  std::filesystem::path commit(const CheckpointMetadata& metadata,
                               const std::vector<ShardDescription>& shards);
  /// Removes an attempt.
  void abandon(std::int64_t step, std::int64_t epoch);
  /// Removes what `retention` does not keep. Only intact checkpoints count: each that this object has not
  /// written or read whole yet is read once. Damaged ones are left for people to look at.
  void retain(const Retention& retention);
  /// What an interrupted process left: unfinished attempts go, a checkpoint that was moved aside comes
  /// back when its replacement never arrived or is damaged. Call at start, under the run folder's lock,
  /// before anything is chosen from the store.
  void recover();

  /// Newest first, by (timeline, step); damaged ones last, with their problem.
  [[nodiscard]] std::vector<CheckpointSummary> list() const;
  /// The newest checkpoint whose every byte is as it was written. Others are passed over with a warning.
  [[nodiscard]] IntactSearch search_intact();
  /// The newest checkpoint of those that `wanted` takes whose every byte is as it was written; as above.
  [[nodiscard]] std::optional<std::filesystem::path> newest_intact(
      const std::function<bool(const CheckpointMetadata&)>& wanted);
  /// kConfig, naming what there is, when the step does not exist.
  [[nodiscard]] CheckpointReader open(std::int64_t step) const;
  /// The newest usable one; kConfig when there is none.
  [[nodiscard]] CheckpointReader open_latest() const;

 private:
  [[nodiscard]] std::filesystem::path final_folder(std::int64_t step) const;
  void publish(const std::filesystem::path& attempt, const std::filesystem::path& target) const;
  void remove_checkpoint(const std::filesystem::path& folder) const;
  void settle_aside(const std::filesystem::path& aside, const std::filesystem::path& target) const;
  /// Reads all of it, the first time; `checkpoint` gets what is wrong, with a warning.
  bool is_intact(CheckpointSummary& checkpoint);

  std::filesystem::path folder_;
  std::map<std::filesystem::path, bool> known_intact_;  // written or read whole by this object
};

}  // namespace troupe::storage
