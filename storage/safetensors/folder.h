#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/safetensors/file.h"

namespace troupe::storage::safetensors {

inline constexpr const char* kSingleFile = "model.safetensors";
inline constexpr const char* kIndexFile = "model.safetensors.index.json";

/// The tensors of a folder as Hugging Face's programs write it: of one file, or of the files that
/// model.safetensors.index.json tells.
class Folder {
 public:
  /// kConfig when the folder has neither; kCorrupt when an index and its files disagree, a tensor is in two
  /// files, or a file is unsound; kIo.
  explicit Folder(const std::filesystem::path& folder);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Ascending.
  [[nodiscard]] std::vector<std::string> names() const;
  /// Null when there is none of the name.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;
  /// As File::read, of a tensor that there is.
  void read(std::string_view name, const Slice& slice, std::span<float> values) const;

 private:
  struct Place {
    std::size_t file;
    const TensorInfo* tensor;
  };
  void add(File file);
  void add_indexed();

  std::filesystem::path path_;
  std::vector<File> files_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace troupe::storage::safetensors
