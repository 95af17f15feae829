#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "comm/control/messages/messages.h"
#include "coordinator/run/folder_lock.h"

namespace troupe::coordinator {

/// The folder of one run, locked for as long as this object lives: a second coordinator on it is refused.
class RunFolder {
 public:
  /// Makes `<parent>/<name>-<n>` with the next free n ≥ 1; two processes never get the same one.
  /// Throws kIo when the folder cannot be made.
  [[nodiscard]] static RunFolder create_numbered(const std::filesystem::path& parent,
                                                 const std::string& name);
  /// Takes exactly this folder, made when it is missing. Throws kIo when another process holds it; the
  /// message names that process.
  [[nodiscard]] static RunFolder open(const std::filesystem::path& path);

  /// Absolute.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  [[nodiscard]] std::filesystem::path logs() const { return path_ / "logs"; }
  [[nodiscard]] std::filesystem::path config_file() const { return path_ / "config.yaml"; }
  [[nodiscard]] std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }

  /// Random, new at each opening, and written to the folder: a worker that knows it sees the same folder.
  [[nodiscard]] const std::string& nonce() const { return nonce_; }
  /// Random, and the same for as long as the folder lives: names what a run has outside of it.
  [[nodiscard]] const std::string& id() const { return id_; }
  /// The next epoch, durable before it is returned, so that no two starts of workers share one, also after
  /// a crash. Throws kCorrupt when the stored counter is not a number.
  [[nodiscard]] comm::Epoch raise_epoch();

  /// Replaces config.yaml by the resolved configuration.
  void write_config(std::string_view yaml);
  /// Removes the lines of metrics.jsonl after `step`, and lines torn by a crash: the run goes on from there.
  /// Returns whether the evaluation of `step` is there.
  bool cut_metrics(std::int64_t step);

 private:
  RunFolder(std::filesystem::path path, FolderLock lock);

  std::filesystem::path path_;
  FolderLock lock_;
  std::string nonce_;
  std::string id_;
};

}  // namespace troupe::coordinator
