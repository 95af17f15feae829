#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/manifest.h"

namespace troupe::storage {

struct VerifyReport {
  std::int64_t files = 0;
  std::int64_t tensors = 0;
  std::int64_t size_bytes = 0;
  std::vector<std::string> problems;  // each names a file
  bool unreadable = false;            // the system refused to read something, which says nothing of its bytes
  [[nodiscard]] bool intact() const { return problems.empty(); }
};

/// Reads everything again: the manifest, each file against its size and hash, each stored range
/// against the hash that was taken in the memory of the worker that wrote it.
[[nodiscard]] VerifyReport verify(const std::filesystem::path& checkpoint);

/// The manifest, each file against its size and hash, several files at once, and the places of the ranges. A
/// file's hash was taken of what the worker had in memory, as those of its ranges were: this finds what
/// verify() does, and reads the bytes once, not twice. kCorrupt and kIo are problems of the report.
[[nodiscard]] VerifyReport verify_files(const std::filesystem::path& checkpoint);

/// Tensors below `layout/` say how a run was cut into workers; they are not part of its meaning.
[[nodiscard]] bool independent_of_layout(const TensorEntry& tensor);

/// One SHA-256 (64 hexadecimal digits) over all selected global tensors in name order, whatever their
/// sharding. Per tensor: name and type as text, each after its length; rank and sizes; the elements.
/// Numbers are 64-bit little-endian. Verifies every file that it reads; kCorrupt.
[[nodiscard]] std::string digest(
    const std::filesystem::path& checkpoint,
    const std::function<bool(const TensorEntry&)>& select = independent_of_layout);

}  // namespace troupe::storage
