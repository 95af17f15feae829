#include "storage/safetensors/header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/index.h"
#include "base/json_outline.h"

namespace troupe::storage::safetensors {
namespace {

using nlohmann::json;

constexpr int kMaximumDepth = 3;  // the header, a tensor in it, a list in that
constexpr const char* kMetadata = "__metadata__";

/// Reads one file's header; what is wrong is said with the file's name.
class HeaderParser {
 public:
  HeaderParser(std::int64_t data_begin, std::int64_t file_bytes, const std::string& file)
      : data_begin_(data_begin), data_bytes_(file_bytes - data_begin), file_(file) {}

  [[nodiscard]] std::vector<TensorInfo> parse(std::string_view text) const {
    const json header = parse_document(text);
    if (!header.is_object()) refuse("its header is not a JSON object");
    std::vector<TensorInfo> tensors;
    for (const auto& [name, value] : header.items()) {
      if (name != kMetadata) tensors.push_back(tensor(name, value));
    }
    std::ranges::sort(tensors, {}, &TensorInfo::begin);
    require_apart(tensors);
    return tensors;
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorCode::kCorrupt, "{}: {}", file_, fmt::format(format, std::forward<Args>(args)...));
  }

  /// Not by nlohmann's callbacks, which take time by the square of the objects in one.
  [[nodiscard]] json parse_document(std::string_view text) const {
    const JsonOutline outline = json_outline(text);
    if (outline.depth > kMaximumDepth) refuse("its header is nested deeper than {}", kMaximumDepth);
    try {
      json document = json::parse(text);
      if (document.is_object() && std::ssize(document) != outline.members)
        refuse("its header has a name twice");
      return document;
    } catch (const json::parse_error& error) {
      refuse("its header is not valid JSON at byte {}: {}",
             kLengthBytes + static_cast<std::int64_t>(error.byte), error.what());
    } catch (const json::exception& error) {  // of a number like 1e999
      refuse("its header is not valid JSON: {}", error.what());
    }
  }

  [[nodiscard]] const json& member(const std::string& name, const json& value, const char* key) const {
    const auto found = value.find(key);
    if (found == value.end()) refuse("'{}' has no {}", name, key);
    return *found;
  }

  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& name, const json& value,
                                                   const char* key, std::size_t most) const {
    const json& list = member(name, value, key);
    if (!list.is_array() || list.size() > most)
      refuse("'{}': {} is not a list of at most {}", name, key, most);
    std::vector<std::int64_t> numbers;
    for (const json& item : list) {
      if (!item.is_number_unsigned() ||
          item.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        refuse("'{}': {} has {}, which is no size", name, key, item.dump());
      numbers.push_back(item.get<std::int64_t>());
    }
    return numbers;
  }

  [[nodiscard]] TensorInfo tensor(const std::string& name, const json& value) const {
    if (!value.is_object()) refuse("'{}' is not described by an object", name);
    const json& type = member(name, value, "dtype");
    if (!type.is_string() || !bits_of(type.get<std::string>()))
      refuse("'{}' has the unknown dtype {}", name, type.dump());
    TensorInfo info{.name = name,
                    .type = value_type(type.get<std::string>()),
                    .type_name = type.get<std::string>(),
                    .shape = integers(name, value, "shape", kMaximumRank)};
    const auto offsets = integers(name, value, "data_offsets", 2);
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      refuse("'{}': data_offsets are not two numbers that ascend", name);
    if (offsets[1] > data_bytes_) {
      refuse("'{}': its data end at byte {}, but the file has {}", name, data_begin_ + offsets[1],
             data_begin_ + data_bytes_);
    }
    info.begin = data_begin_ + offsets[0];
    info.end = data_begin_ + offsets[1];
    require_extent(info);
    return info;
  }

  void require_extent(const TensorInfo& info) const {
    std::int64_t bits = *bits_of(info.type_name);
    for (const std::int64_t size : info.shape) {
      if (size != 0 && bits > std::numeric_limits<std::int64_t>::max() / size)
        refuse("'{}': {} of {} is more than can be", info.name, shape_text(info.shape), info.type_name);
      bits *= size;
    }
    if (bits / 8 != info.end - info.begin) {
      refuse("'{}': {} of {} are {} bytes, but its data are {}, at byte {}", info.name,
             shape_text(info.shape), info.type_name, bits / 8, info.end - info.begin, info.begin);
    }
  }

  void require_apart(const std::vector<TensorInfo>& tensors) const {
    std::int64_t end = data_begin_;
    const TensorInfo* before = nullptr;
    for (const TensorInfo& tensor : tensors) {
      if (tensor.begin == tensor.end) continue;
      if (tensor.begin < end)
        refuse("'{}' overlaps '{}' at byte {}", tensor.name, before->name, tensor.begin);
      end = tensor.end;
      before = &tensor;
    }
  }

  std::int64_t data_begin_;
  std::int64_t data_bytes_;
  const std::string& file_;
};

}  // namespace

std::int64_t TensorInfo::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::int64_t header_length(std::string_view first_bytes, std::int64_t file_bytes, const std::string& file) {
  if (std::ssize(first_bytes) < kLengthBytes)
    throw Error(ErrorCode::kCorrupt, "{}: {} bytes are too few for a safetensors file", file, file_bytes);
  std::uint64_t length = 0;
  std::memcpy(&length, first_bytes.data(), sizeof(length));
  const auto most = static_cast<std::uint64_t>(std::min(kMaximumHeaderBytes, file_bytes - kLengthBytes));
  if (length > most) {
    throw Error(ErrorCode::kCorrupt, "{}: a header of {} bytes is announced at byte 0, at most {} can be",
                file, length, most);
  }
  return static_cast<std::int64_t>(length);
}

std::vector<TensorInfo> parse_header(std::string_view header, std::int64_t file_bytes,
                                     const std::string& file) {
  return HeaderParser(kLengthBytes + std::ssize(header), file_bytes, file).parse(header);
}

std::string make_header(std::vector<TensorInfo>& tensors) {
  nlohmann::ordered_json header{{kMetadata, {{"format", "pt"}}}};
  std::int64_t end = 0;
  for (TensorInfo& tensor : tensors) {
    tensor.begin = end;
    end += tensor.elements() * size_bytes(tensor.type);
    tensor.end = end;
    header[tensor.name] = {{"dtype", to_string(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const auto length = static_cast<std::uint64_t>(text.size());
  for (TensorInfo& tensor : tensors) {
    tensor.begin += kLengthBytes + std::ssize(text);
    tensor.end += kLengthBytes + std::ssize(text);
  }
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + text;
}

}  // namespace troupe::storage::safetensors
