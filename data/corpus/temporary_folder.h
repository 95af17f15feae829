#pragma once
#include <filesystem>

namespace troupe::data {

/// A new empty folder, removed with everything in it by the destructor unless it was moved away.
class TemporaryFolder {
 public:
  /// `path` is replaced when it exists: choose a name that nobody else uses.
  explicit TemporaryFolder(std::filesystem::path path);
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Makes this folder the content of `target`, whose old content is removed. Somebody who opens a file
  /// there by its path sees the old or the new folder. Durable on return. Throws kIo.
  void publish(const std::filesystem::path& target);

 private:
  std::filesystem::path path_;
};

}  // namespace troupe::data
