#include "data/sources/corpus_spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "base/error.h"
#include "base/index.h"
#include "data/token_file_writer.h"

namespace troupe::data {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{4} << 20;

void cut(const FileDescriptor& file, std::int64_t bytes, const std::filesystem::path& path) {
  if (::ftruncate(file.get(), bytes) != 0) throw io_error("cannot shorten " + path.string());
  if (::lseek(file.get(), 0, SEEK_END) < 0) throw io_error("cannot append to " + path.string());
}

void read_exactly(const FileDescriptor& file, std::span<std::byte> bytes, std::int64_t offset,
                  const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(file.get(), bytes.data(), bytes.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw io_error("cannot read " + path.string());
    if (got == 0)
      throw Error(ErrorCode::kCorrupt, "{}: is shorter than what was written to it", path.string());
    bytes = bytes.subspan(at(got));
    offset += got;
  }
}

template <class Stored>
void append_as(std::span<const std::int32_t> tokens, std::vector<std::byte>& buffer) {
  for (const std::int32_t token : tokens) {
    const auto stored = static_cast<Stored>(token);
    const auto bytes = std::as_bytes(std::span(&stored, 1));
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
  }
}

}  // namespace

CorpusSpool::CorpusSpool(const std::filesystem::path& folder, std::int64_t token_bytes,
                         std::int64_t documents)
    : records_path_(folder / "documents"),
      tokens_path_(folder / "tokens"),
      trained_path_(folder / "trained"),
      token_bytes_(token_bytes),
      records_file_(FileDescriptor::open(records_path_, O_RDWR | O_CREAT)),
      tokens_file_(FileDescriptor::open(tokens_path_, O_RDWR | O_CREAT)),
      trained_file_(FileDescriptor::open(trained_path_, O_RDWR | O_CREAT)) {
  take_up(documents);
}

void CorpusSpool::take_up(std::int64_t documents) {
  records_.resize(at(documents));
  read_exactly(records_file_, std::as_writable_bytes(std::span(records_)), 0, records_path_);
  flushed_records_ = records_.size();
  std::int64_t tokens = 0;
  std::int64_t borders = 0;
  for (const DocumentRecord& record : records_) {
    tokens += record.tokens;
    borders += record.borders;
  }
  trained_.resize(at(borders));
  read_exactly(trained_file_, std::as_writable_bytes(std::span(trained_)), 0, trained_path_);
  flushed_trained_ = trained_.size();
  cut(trained_file_, borders * static_cast<std::int64_t>(sizeof(std::int64_t)), trained_path_);
  cut(records_file_, documents * static_cast<std::int64_t>(sizeof(DocumentRecord)), records_path_);
  if (std::filesystem::file_size(tokens_path_) < static_cast<std::uintmax_t>(tokens * token_bytes_))
    throw Error(ErrorCode::kCorrupt, "{}: is shorter than its documents", tokens_path_.string());
  cut(tokens_file_, tokens * token_bytes_, tokens_path_);
}

void CorpusSpool::append(DocumentRecord record, std::span<const std::int32_t> tokens,
                         std::span<const std::int64_t> trained) {
  record.tokens = std::ssize(tokens);
  record.borders = static_cast<std::int32_t>(std::ssize(trained));
  records_.push_back(record);
  trained_.insert(trained_.end(), trained.begin(), trained.end());
  token_bytes_ == 2 ? append_as<std::uint16_t>(tokens, buffer_) : append_as<std::int32_t>(tokens, buffer_);
  if (buffer_.size() < kBufferBytes) return;
  write_all(tokens_file_, buffer_, tokens_path_);
  buffer_.clear();
}

std::int64_t CorpusSpool::flush() {
  write_all(tokens_file_, buffer_, tokens_path_);
  buffer_.clear();
  write_all(records_file_, std::as_bytes(std::span(records_).subspan(flushed_records_)), records_path_);
  flushed_records_ = records_.size();
  write_all(trained_file_, std::as_bytes(std::span(trained_).subspan(flushed_trained_)), trained_path_);
  flushed_trained_ = trained_.size();
  return std::ssize(records_);
}

template <class Size>
std::vector<std::int64_t> CorpusSpool::begins_of(Size DocumentRecord::*size) const {
  std::vector<std::int64_t> begins(records_.size());
  std::transform_exclusive_scan(records_.begin(), records_.end(), begins.begin(), std::int64_t{0},
                                std::plus(), [&](const DocumentRecord& record) { return record.*size; });
  return begins;
}

std::vector<std::uint32_t> CorpusSpool::order_of(bool heldout) const {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < records_.size(); ++i) {
    if ((records_[i].heldout != 0) == heldout) order.push_back(i);
  }
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return records_[i].domain; });
  return order;
}

TrainedSpans CorpusSpool::spans_of(std::span<const std::uint32_t> order) const {
  const auto begins = begins_of(&DocumentRecord::borders);
  std::vector<std::int64_t> borders;
  std::int64_t first = 0;  // token of the document
  for (const std::uint32_t i : order) {
    const auto own = std::span(trained_).subspan(at(begins[i]), at(records_[i].borders));
    for (std::size_t b = 0; b < own.size(); b += 2) append_span(first + own[b], first + own[b + 1], borders);
    first += records_[i].tokens;
  }
  return TrainedSpans(std::move(borders));
}

void CorpusSpool::write_token_file(const std::filesystem::path& file, TokenFileHeader header, bool heldout,
                                   bool masked) {
  flush();
  const auto begins = begins_of(&DocumentRecord::tokens);
  const auto order = order_of(heldout);
  header.document_offsets = {0};
  for (const std::uint32_t i : order) {
    const std::int64_t first = header.document_offsets.back();
    if (header.pairs) {
      header.document_offsets.push_back(first + records_[i].tokens - records_[i].rejected);
      header.document_domains.push_back(records_[i].domain);
    }
    header.document_offsets.push_back(first + records_[i].tokens);
    header.document_domains.push_back(records_[i].domain);
  }
  if (masked) header.trained = spans_of(order);
  TokenFileWriter writer(file, std::move(header));
  for (const std::uint32_t i : order) {
    buffer_.resize(at(records_[i].tokens * token_bytes_));
    read_exactly(tokens_file_, buffer_, begins[i] * token_bytes_, tokens_path_);
    writer.append(buffer_);
  }
  buffer_.clear();
  writer.finish();
}

}  // namespace troupe::data
