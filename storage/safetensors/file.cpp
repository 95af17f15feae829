#include "storage/safetensors/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "base/log.h"
#include "storage/verified_file.h"

namespace troupe::storage::safetensors {
namespace {

/// Smaller pieces of a file stay mapped: their pages come with their neighbours'.
constexpr std::int64_t kKeptBytes = 64 << 10;

/// Numbers from the first to the last of a slice that has some.
std::int64_t span_of(const Slice& slice) {
  return (slice.rows - 1) * slice.row_stride + (slice.columns - 1) * slice.column_stride + 1;
}

/// Whether all numbers of the slice are below `elements`; strides are not negative.
bool lies_in(const Slice& slice, std::int64_t elements) {
  if (slice.begin < 0 || slice.rows < 0 || slice.columns < 0 || slice.row_stride < 0 ||
      slice.column_stride < 0)
    return false;
  if (slice.elements() == 0) return true;
  return slice.begin + span_of(slice) <= elements;
}

}  // namespace

void File::Unmap::operator()(const std::byte* begin) const {
  if (::munmap(const_cast<std::byte*>(begin), size) != 0) log::error("{}", io_error("munmap").what());
}

File File::open(const std::filesystem::path& path) {
  // Folders of a hub's cache hold links to their files, so links are followed.
  const std::int64_t size = regular_file_bytes(std::filesystem::weakly_canonical(path));
  if (size < kLengthBytes)
    throw Error(ErrorCode::kCorrupt, "{}: {} bytes are too few for a safetensors file", path.string(), size);
  const FileDescriptor file = FileDescriptor::open(path, O_RDONLY);
  void* begin = ::mmap(nullptr, at(size), PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (begin == MAP_FAILED) throw io_error("cannot map " + path.string());
  std::unique_ptr<const std::byte, Unmap> bytes(static_cast<const std::byte*>(begin), Unmap{at(size)});
  const std::string_view text(static_cast<const char*>(begin), at(size));
  const std::int64_t length = header_length(text.substr(0, kLengthBytes), size, path.string());
  auto tensors = parse_header(text.substr(kLengthBytes, at(length)), size, path.string());
  return {path, std::move(bytes), std::move(tensors)};
}

/// What was read stays in the system's cache, but is no longer this process' memory.
void File::let_go(std::int64_t begin, std::int64_t end) const {
  static const std::int64_t page = ::sysconf(_SC_PAGESIZE);
  if (end - begin < kKeptBytes) return;
  begin -= begin % page;
  std::byte* first = const_cast<std::byte*>(bytes_.get()) + begin;
  if (::madvise(first, at(end - begin), MADV_DONTNEED) != 0) log::warn("{}", io_error("madvise").what());
}

void File::read(const TensorInfo& tensor, const Slice& slice, std::span<float> values) const {
  TROUPE_CHECK(lies_in(slice, tensor.elements()) && std::ssize(values) == slice.elements(),
               "{}: '{}' {}: {} x {} values from {} on, into {}", path_.string(), tensor.name,
               shape_text(tensor.shape), slice.rows, slice.columns, slice.begin, values.size());
  if (tensor.type == ValueType::kOther) {
    throw Error(ErrorCode::kCorrupt, "{}: '{}' is of {}, at byte {}; F32, F16 and BF16 can be read",
                path_.string(), tensor.name, tensor.type_name, tensor.begin);
  }
  const std::int64_t value_bytes = size_bytes(tensor.type);
  for (std::int64_t row = 0; row < slice.rows; ++row) {
    const std::int64_t first = slice.begin + row * slice.row_stride;
    to_floats(tensor.type, bytes_.get() + tensor.begin + first * value_bytes, slice.column_stride,
              values.subspan(at(row * slice.columns), at(slice.columns)));
  }
  if (values.empty()) return;
  const std::int64_t begin = tensor.begin + slice.begin * value_bytes;
  let_go(begin, begin + span_of(slice) * value_bytes);
}

}  // namespace troupe::storage::safetensors
