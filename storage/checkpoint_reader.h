#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "storage/hdf5/dataset.h"
#include "storage/hdf5/file.h"
#include "storage/tensor_reader.h"

namespace troupe::storage {

/// Who compares which file with its hash: the share of each, so that all have about as many bytes. Pure.
[[nodiscard]] std::vector<int> shares_of_files(std::span<const FileDescription> files, int shares);

/// The dataset of a slice; kCorrupt, naming it, when its type or size is not what the manifest says.
[[nodiscard]] hdf5::Dataset open_slice(const hdf5::File& file, const TensorEntry& tensor,
                                       const TensorSlice& slice);

/// Reads a checkpoint's global tensors. Untrusted input: the manifest is checked when the reader is made,
/// each file's size and hash before HDF5 opens it, unless someone else has compared it. Shapes are in
/// tensors(), for the caller to compare before it allocates. One thread (the process' storage thread).
class CheckpointReader final : public TensorReader {
 public:
  /// Which files are looked at when the reader is made.
  enum class Look { kAtAll, kAtNone };

  /// kCorrupt or kIo, naming the file, when the manifest is unsound or a file is missing or has
  /// another size. kAtNone leaves the files to verify_share(): many readers would each look at all.
  explicit CheckpointReader(const std::filesystem::path& folder, Look look = Look::kAtAll);

  /// Compares one of `shares` shares of the files, about equally large, with their hashes; kCorrupt, kIo.
  /// All shares are all files.
  void verify_share(int share, int shares);
  /// Opens files without reading them whole first: each was compared with its hash, by whomever.
  void trust_files() { trusted_ = true; }
  /// Read so far: whole files to compare them, and elements.
  [[nodiscard]] std::int64_t bytes_verified() const { return bytes_verified_; }
  [[nodiscard]] std::int64_t bytes_read() const { return bytes_read_; }

 private:
  void read_slice(const TensorEntry& tensor, const TensorSlice& slice, std::int64_t begin,
                  std::span<std::byte> bytes) override;
  void verify(const FileDescription& file);
  [[nodiscard]] const hdf5::File& verified_file(const std::string& name);

  std::map<std::string, hdf5::File> files_;  // verified, open
  bool trusted_ = false;
  std::int64_t bytes_verified_ = 0;
  std::int64_t bytes_read_ = 0;
};

}  // namespace troupe::storage
