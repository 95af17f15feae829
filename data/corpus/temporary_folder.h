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

  /// Makes this folder the content of `target`, whose old content is removed. Where the file system can
  /// exchange folders, somebody who opens a file there sees the old or the new one. Durable on return. Throws
  /// kIo.
  void publish(const std::filesystem::path& target);

 private:
  std::filesystem::path path_;
};

namespace detail {
/// Moves a folder in the place of another, which is removed. Between two steps neither is there.
void replace_in_two_steps(const std::filesystem::path& source, const std::filesystem::path& target);
}  // namespace detail

}  // namespace troupe::data
