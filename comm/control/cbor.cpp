#include "comm/control/cbor.h"

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "comm/control/utf8.h"

namespace troupe::comm::detail {

namespace {

[[noreturn]] void refuse(const char* what, std::size_t offset) {
  throw Error(ErrorCode::kCorrupt, "control message: {} at byte {}", what, offset);
}

/// Walks over the heads of all items without recursion. The library's parser is recursive, also where its
/// SAX interface is not asked (a string of indefinite length inside another), so it only gets to see
/// what passed here.
class StructureCheck {
 public:
  explicit StructureCheck(std::string_view bytes) : bytes_(bytes) {}

  void run() {
    open_ = {1};
    depth_ = 1;
    while (depth_ > 0) {
      if (open_[depth_ - 1] == 0) {
        --depth_;
        continue;
      }
      --open_[depth_ - 1];
      check_item();
    }
    if (offset_ != bytes_.size()) refuse("bytes behind the value", offset_);
  }

 private:
  enum Major { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kSimple };

  void check_item() {
    if (++elements_ > kMaxCborElements) refuse("too many elements", offset_);
    const unsigned initial = take_byte();
    const auto major = static_cast<Major>(initial >> 5);
    const unsigned info = initial & 31U;
    const std::uint64_t argument = take_argument(info);
    switch (major) {
      case kUnsigned:
      case kNegative:
        return;
      case kText:
        return skip_text(argument);
      case kArray:
        return open(argument, 1);
      case kMap:
        return open(argument, 2);
      case kSimple:
        return check_simple(info);
      case kBytes:
      case kTag:
        refuse("a byte string or tag", offset_);
    }
  }

  unsigned take_byte() {
    if (offset_ == bytes_.size()) refuse("an early end", offset_);
    return static_cast<unsigned char>(bytes_[offset_++]);
  }

  std::uint64_t take_argument(unsigned info) {
    if (info < 24) return info;
    if (info > 27) refuse("an indefinite or reserved length", offset_);
    std::uint64_t argument = 0;
    for (unsigned i = 0; i < (1U << (info - 24)); ++i) argument = (argument << 8) | take_byte();
    return argument;
  }

  void skip_text(std::uint64_t length) {
    if (length > bytes_.size() - offset_) refuse("text longer than the message", offset_);
    if (!is_utf8(bytes_.substr(offset_, length))) refuse("text that is not UTF-8", offset_);
    offset_ += length;
  }

  /// Every item takes a byte at least, so no honest count exceeds what is left.
  void open(std::uint64_t count, std::uint64_t items_each) {
    if (count > (bytes_.size() - offset_) / items_each) refuse("more elements than bytes", offset_);
    if (depth_ > kMaxCborDepth) refuse("nesting too deep", offset_);
    open_[depth_++] = count * items_each;
  }

  void check_simple(unsigned info) const {
    const bool constant = info >= 20 && info <= 22;  // false, true, null
    const bool number = info >= 25 && info <= 27;    // half, single, double
    if (!constant && !number) refuse("an unknown simple value", offset_);
  }

  std::string_view bytes_;
  std::size_t offset_ = 0;
  std::size_t elements_ = 0;
  std::array<std::uint64_t, kMaxCborDepth + 1> open_{};  // items that each open container still expects
  std::size_t depth_ = 0;
};

}  // namespace

nlohmann::json parse_cbor(std::string_view bytes) {
  StructureCheck(bytes).run();
  nlohmann::json value = nlohmann::json::from_cbor(bytes, true, false);
  if (value.is_discarded()) refuse("something that is not CBOR", 0);
  return value;
}

}  // namespace troupe::comm::detail
