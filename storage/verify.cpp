#include "storage/verify.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <span>
#include <thread>

#include "base/error.h"
#include "base/index.h"
#include "base/sha256.h"
#include "storage/checkpoint_reader.h"
#include "storage/dataset_pieces.h"

namespace troupe::storage {
namespace {

constexpr std::size_t kMostFilesAtOnce = 16;

/// Runs a check; its complaint becomes a problem of the report.
template <class Check>
bool holds(VerifyReport& report, Check check) {
  try {
    check();
    return true;
  } catch (const Error& error) {
    report.problems.emplace_back(error.what());
    report.unreadable = report.unreadable || error.code() == ErrorCode::kIo;
    return false;
  }
}

void require_range(const hdf5::File& file, const TensorEntry& tensor, const TensorSlice& slice) {
  if (hash_dataset(file.open_dataset(range_dataset(tensor.name, slice.begin))) == slice.hash) return;
  throw Error(ErrorCode::kCorrupt, "{}: elements of '{}' from {} on are not what the worker had in memory",
              file.path(), tensor.name, slice.begin);
}

/// Each range of the tensors that lies in this file, against its hash.
void verify_ranges(VerifyReport& report, const Manifest& manifest, const hdf5::File& file,
                   const std::string& name) {
  for (const TensorEntry& tensor : manifest.tensors) {
    for (const TensorSlice& slice : tensor.slices) {
      if (slice.file == name) holds(report, [&] { require_range(file, tensor, slice); });
    }
  }
}

void verify_file(VerifyReport& report, const std::filesystem::path& folder, const Manifest& manifest,
                 const FileDescription& file) {
  if (!holds(report, [&] { require_content(folder, file); })) return;
  holds(report, [&] { verify_ranges(report, manifest, hdf5::File::open(folder / file.name), file.name); });
}

void update(Sha256& sum, std::int64_t number) { sum.update(std::as_bytes(std::span(&number, 1))); }

void update(Sha256& sum, std::string_view text) {
  update(sum, static_cast<std::int64_t>(text.size()));
  sum.update(std::as_bytes(std::span(text)));
}

void update(Sha256& sum, CheckpointReader& reader, const TensorEntry& tensor) {
  update(sum, tensor.name);
  update(sum, to_string(tensor.type));
  update(sum, std::int64_t{tensor.shape.rank()});
  for (const std::int64_t size : tensor.shape.sizes()) update(sum, size);
  constexpr std::int64_t kPieceElements = std::int64_t{1} << 19;
  std::vector<std::byte> piece;
  for (std::int64_t begin = 0; begin < tensor.shape.elements(); begin += kPieceElements) {
    const std::int64_t count = std::min(kPieceElements, tensor.shape.elements() - begin);
    piece.resize(at(count * size_bytes(tensor.type)));
    reader.read_bytes(tensor, begin, piece);
    sum.update(piece);
  }
}

}  // namespace

VerifyReport verify(const std::filesystem::path& checkpoint) {
  VerifyReport report;
  Manifest manifest;
  if (!holds(report, [&] { manifest = load_manifest(checkpoint); })) return report;
  report.tensors = static_cast<std::int64_t>(manifest.tensors.size());
  for (const FileDescription& file : manifest.files) {
    report.files += 1;
    report.size_bytes += file.size_bytes;
    verify_file(report, checkpoint, manifest, file);
  }
  return report;
}

namespace {

/// What the manifest says of a file's datasets, without reading them.
void check_places(VerifyReport& report, const std::filesystem::path& checkpoint, const Manifest& manifest) {
  using Place = std::pair<const TensorEntry*, const TensorSlice*>;
  std::map<std::string, std::vector<Place>> places;
  for (const TensorEntry& tensor : manifest.tensors) {
    for (const TensorSlice& slice : tensor.slices) places[slice.file].emplace_back(&tensor, &slice);
  }
  for (const auto& place : places) {  // whole: Clang 14 captures no structured bindings
    holds(report, [&] {
      const hdf5::File file = hdf5::File::open(checkpoint / place.first);
      for (const auto& [tensor, slice] : place.second) (void)open_slice(file, *tensor, *slice);
    });
  }
}

}  // namespace

VerifyReport verify_files(const std::filesystem::path& checkpoint) {
  VerifyReport report;
  Manifest manifest;
  if (!holds(report, [&] { manifest = load_manifest(checkpoint); })) return report;
  report.tensors = std::ssize(manifest.tensors);
  report.files = std::ssize(manifest.files);
  for (const FileDescription& file : manifest.files) report.size_bytes += file.size_bytes;
  std::vector<VerifyReport> of_file(manifest.files.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < of_file.size(); i = next++)
      holds(of_file[i], [&] { require_content(checkpoint, manifest.files[i]); });
  };
  {
    std::vector<std::jthread> threads;  // more streams than one are what a parallel file system is for
    const std::size_t most = std::min<std::size_t>(of_file.size(), kMostFilesAtOnce);
    for (std::size_t i = 1; i < std::min<std::size_t>(most, std::thread::hardware_concurrency()); ++i)
      threads.emplace_back(work);
    work();
  }
  for (const VerifyReport& file : of_file) {
    report.problems.insert(report.problems.end(), file.problems.begin(), file.problems.end());
    report.unreadable = report.unreadable || file.unreadable;
  }
  if (report.intact()) check_places(report, checkpoint, manifest);
  return report;
}

bool independent_of_layout(const TensorEntry& tensor) { return !tensor.name.starts_with("layout/"); }

std::string digest(const std::filesystem::path& checkpoint,
                   const std::function<bool(const TensorEntry&)>& select) {
  CheckpointReader reader(checkpoint);
  Sha256 sum;
  for (const TensorEntry& tensor : reader.tensors()) {
    if (select(tensor)) update(sum, reader, tensor);
  }
  return sum.finish();
}

}  // namespace troupe::storage
