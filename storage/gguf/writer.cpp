#include "storage/gguf/writer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "storage/verified_file.h"

namespace troupe::storage::gguf {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kVersion = 3;
constexpr std::int64_t kAlignment = 32;
constexpr std::size_t kMaximumRank = 4;

// Types of metadata.
constexpr std::uint32_t kUint32 = 4;
constexpr std::uint32_t kInt32 = 5;
constexpr std::uint32_t kFloat32 = 6;
constexpr std::uint32_t kBool = 7;
constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;

/// Of tensors.
std::uint32_t type_number(ValueType type) {
  switch (type) {
    case ValueType::kF32:
      return 0;
    case ValueType::kF16:
      return 1;
    case ValueType::kBf16:
      return 30;
    case ValueType::kOther:
      break;
  }
  throw Error(ErrorCode::kInternal, "no type of a GGUF file");
}

std::int64_t elements_of(const Tensor& tensor) {
  TROUPE_CHECK(!tensor.shape.empty() && tensor.shape.size() <= kMaximumRank, "{} has {} sizes", tensor.name,
               tensor.shape.size());
  std::int64_t elements = 1;
  for (const std::int64_t size : tensor.shape) elements *= size;
  return elements;
}

std::int64_t bytes_of(const Tensor& tensor) {
  return elements_of(tensor) * safetensors::size_bytes(tensor.type);
}

std::int64_t aligned(std::int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// The file's text up to its data.
class Header {
 public:
  template <class Number>
  requires std::is_arithmetic_v<Number>
  void add(Number number) {
    const auto bytes = std::bit_cast<std::array<char, sizeof(Number)>>(number);
    text_.append(bytes.data(), bytes.size());
  }
  void add(const std::string& text) {
    add(std::uint64_t{text.size()});
    text_ += text;
  }
  void add(std::string_view magic) { text_ += magic; }

  void add(const Value& value) {
    std::visit([&](const auto& one) { add_typed(one); }, value);
  }

  [[nodiscard]] std::string padded() && {
    text_.resize(at(aligned(std::ssize(text_))), '\0');
    return std::move(text_);
  }

 private:
  void add_typed(bool value) {
    add(kBool);
    add(std::uint8_t{value});
  }
  void add_typed(std::uint32_t value) {
    add(kUint32);
    add(value);
  }
  void add_typed(float value) {
    add(kFloat32);
    add(value);
  }
  void add_typed(const std::string& value) {
    add(kString);
    add(value);
  }
  template <class T>
  void add_typed(const std::vector<T>& values) {
    add(kArray);
    add(std::is_same_v<T, std::string> ? kString : kInt32);
    add(std::uint64_t{values.size()});
    for (const T& value : values) add(value);
  }

  std::string text_;
};

std::string header_of(const Metadata& metadata, const std::vector<Tensor>& tensors) {
  Header header;
  header.add(std::string_view("GGUF"));
  header.add(kVersion);
  header.add(std::uint64_t{tensors.size()});
  header.add(std::uint64_t{metadata.size()});
  for (const auto& [key, value] : metadata) {
    header.add(key);
    header.add(value);
  }
  std::int64_t begin = 0;
  for (const Tensor& tensor : tensors) {
    header.add(tensor.name);
    header.add(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      header.add(static_cast<std::uint64_t>(*size));
    header.add(type_number(tensor.type));
    header.add(static_cast<std::uint64_t>(begin));
    begin += aligned(bytes_of(tensor));
  }
  return std::move(header).padded();
}

}  // namespace

Writer::Writer(std::filesystem::path file, const Metadata& metadata, std::vector<Tensor> tensors)
    : path_(std::move(file)), tensors_(std::move(tensors)) {
  TROUPE_CHECK(!tensors_.empty(), "{}: no tensors", path_.string());
  const std::string header = header_of(metadata, tensors_);
  std::int64_t bytes = std::ssize(header);
  for (const Tensor& tensor : tensors_) bytes += aligned(bytes_of(tensor));
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  make_folders(folder);
  require_free_space(folder, bytes);
  file_.emplace(path_);
  file_->write(std::as_bytes(std::span(header)));
  left_ = elements_of(tensors_.front());
}

/// Also the last one is padded.
void Writer::next_tensor() {
  const std::int64_t bytes = bytes_of(tensors_[tensor_]);
  bytes_.assign(at(aligned(bytes) - bytes), std::byte{0});
  file_->write(bytes_);
  ++tensor_;
  left_ = tensor_ < tensors_.size() ? elements_of(tensors_[tensor_]) : 0;
}

void Writer::write(std::span<const float> values) {
  while (!values.empty()) {
    TROUPE_CHECK(tensor_ < tensors_.size(), "{}: more values than its tensors have", path_.string());
    const std::size_t count = std::min(values.size(), at(left_));
    const ValueType type = tensors_[tensor_].type;
    bytes_.resize(count * at(safetensors::size_bytes(type)));
    safetensors::from_floats(type, values.first(count), bytes_);
    file_->write(bytes_);
    values = values.subspan(count);
    left_ -= static_cast<std::int64_t>(count);
    if (left_ == 0) next_tensor();
  }
}

void Writer::finish() {
  TROUPE_CHECK(tensor_ == tensors_.size(), "{}: values are missing", path_.string());
  file_->finish();
  sync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
}

}  // namespace troupe::storage::gguf
