#include "storage/snapshot_slot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"

namespace troupe::storage {
namespace {

constexpr std::uint64_t kMagic = 0x31746f6c53707254;  // "TrpSlot1"

struct Header {
  std::uint64_t magic;
  std::int64_t step;
  std::uint64_t data_bytes;
  std::uint64_t text_bytes;
  Hash128 hash;  // of the description, and of what stands here before
};

constexpr std::size_t kRangeText = 1024;  // of one range, its name of at most 255 bytes included

MappedFile map(const FileDescriptor& file, const std::filesystem::path& path, std::size_t bytes, int access) {
  void* memory = ::mmap(nullptr, bytes, access, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) throw io_error("cannot map " + path.string());
  return MappedFile({static_cast<std::byte*>(memory), bytes});
}

Hash128 hash_of(const Header& header, std::span<const std::byte> text) {
  Hasher hasher;
  for (const auto value : {static_cast<std::uint64_t>(header.step), header.data_bytes, header.text_bytes})
    hasher.update(std::as_bytes(std::span(&value, 1)));
  hasher.update(text);
  return hasher.finish();
}

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path) {
  const FileDescriptor file = FileDescriptor::open(path, O_RDONLY | O_NOFOLLOW);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw io_error("cannot read " + path.string());
  if (status.st_size == 0) return {};
  return map(file, path, at(status.st_size), PROT_READ);
}

MappedFile MappedFile::create(const std::filesystem::path& path, std::size_t bytes) {
  const FileDescriptor file = FileDescriptor::open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  if (const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)); error != 0) {
    errno = error;
    Error failure = io_error(fmt::format("no room for {} bytes in {}", bytes, path.string()));
    ::unlink(path.c_str());
    throw failure;
  }
  return map(file, path, bytes, PROT_READ | PROT_WRITE);
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

std::span<std::byte> SnapshotSlot::begin(std::size_t bytes, std::size_t ranges) {
  const std::size_t needed = sizeof(Header) + bytes + (ranges + 1) * kRangeText;
  if (file_.bytes().size() < needed) {
    file_ = {};
    file_ = MappedFile::create(path_, needed);
  }
  auto* header = reinterpret_cast<Header*>(file_.bytes().data());
  header->magic = 0;
  std::atomic_thread_fence(std::memory_order_release);
  bytes_ = bytes;
  return file_.bytes().subspan(sizeof(Header), bytes);
}

void SnapshotSlot::finish(std::int64_t rank, std::int64_t step, std::vector<TensorRange> ranges) {
  const std::string text =
      to_json({rank, {path_.filename().string(), static_cast<std::int64_t>(bytes_), {}}, std::move(ranges)});
  const std::span<std::byte> room = file_.bytes().subspan(sizeof(Header) + bytes_);
  if (text.size() > room.size())
    throw Error(ErrorCode::kIo, "{}: no room for its description of {} bytes", path_.string(), text.size());
  std::memcpy(room.data(), text.data(), text.size());
  auto* header = reinterpret_cast<Header*>(file_.bytes().data());
  header->step = step;
  header->data_bytes = bytes_;
  header->text_bytes = text.size();
  header->hash = hash_of(*header, std::as_bytes(std::span(text)));
  std::atomic_thread_fence(std::memory_order_release);
  header->magic = kMagic;
}

SlotContent read_slot(const std::filesystem::path& path) {
  SlotContent slot;
  slot.file = MappedFile::open(path);
  const std::span<const std::byte> all = slot.file.bytes();
  const auto refuse = [&path] { return Error(ErrorCode::kCorrupt, "{} holds no snapshot", path.string()); };
  Header header{};
  if (all.size() < sizeof header) throw refuse();
  std::memcpy(&header, all.data(), sizeof header);
  const std::size_t rest = all.size() - sizeof header;
  if (header.magic != kMagic || header.data_bytes > rest || header.text_bytes > rest - header.data_bytes)
    throw refuse();
  const auto text = all.subspan(sizeof header + header.data_bytes, header.text_bytes);
  if (hash_of(header, text) != header.hash) throw refuse();
  slot.step = header.step;
  slot.data = all.subspan(sizeof header, header.data_bytes);
  slot.description =
      parse_shard_description(std::string(reinterpret_cast<const char*>(text.data()), text.size()));
  return slot;
}

std::optional<std::string> SlotContent::damaged() const {
  std::span<const std::byte> rest = data;
  for (const TensorRange& range : description.ranges) {
    const auto bytes = at(range.count * size_bytes(range.type));
    if (bytes > rest.size() || hash_bytes(rest.first(bytes)) != range.hash) return range.name;
    rest = rest.subspan(bytes);
  }
  return std::nullopt;
}

std::string slot_name(std::int64_t rank, int parity) { return fmt::format("worker-{:05}-{}", rank, parity); }

}  // namespace troupe::storage
