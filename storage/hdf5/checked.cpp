#include "storage/hdf5/checked.h"

#include <charconv>
#include <system_error>
#include <type_traits>
#include <utility>

#include "base/log.h"

namespace troupe::storage::hdf5 {

static_assert(std::is_same_v<hid_t, std::int64_t> && std::is_same_v<herr_t, int>,
              "storage/hdf5/handle.h spells HDF5's types without its header");

namespace {

struct StackSummary {
  std::string cause;  // the innermost description
  bool by_system = false;
};

// The operating system's words in place of HDF5's account of a failed call: "… errno = 28, …".
std::string system_message(std::string_view text) {
  constexpr std::string_view kMark = "errno = ";
  int number = 0;
  const std::string_view digits = text.substr(text.find(kMark) + kMark.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc{} ? std::generic_category().message(number) : std::string(text);
}

herr_t visit(unsigned depth, const H5E_error2_t* entry, void* data) {
  auto& summary = *static_cast<StackSummary*>(data);
  const std::string_view text = entry->desc == nullptr ? "" : entry->desc;
  if (depth == 0) summary.cause = text;
  if (text.find("errno = ") != std::string_view::npos) {
    summary.by_system = true;
    summary.cause = system_message(text);
  }
  return 0;
}

StackSummary summarize_stack() {
  StackSummary summary;
  if (H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, visit, &summary) < 0 || summary.cause.empty()) {
    summary.cause = "HDF5 gives no reason";
  }
  return summary;
}

std::string subject(const Action& action) {
  if (action.object.empty()) return std::string(action.file);
  return fmt::format("{}: '{}'", action.file, action.object);
}

}  // namespace

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)), closer_(std::exchange(other.closer_, nullptr)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(closer_, other.closer_);
  return *this;
}

Handle::~Handle() {
  if (!close()) log::error("closing an HDF5 object failed: {}", summarize_stack().cause);
}

bool Handle::close() {
  const std::int64_t id = std::exchange(id_, -1);
  return id < 0 || closer_(id) >= 0;
}

void silence_error_printing() {
  if (H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) < 0) {
    throw Error(ErrorCode::kInternal, "HDF5's error printing cannot be turned off");
  }
}

Error stack_error(const Action& action) {
  const StackSummary summary = summarize_stack();
  const ErrorCode code = summary.by_system ? ErrorCode::kIo : action.otherwise;
  return {code, "{}: cannot {}: {}", subject(action), action.verb, summary.cause};
}

Error corrupt(const Action& action, std::string_view reason) {
  return {ErrorCode::kCorrupt, "{}: cannot {}: {}", subject(action), action.verb, reason};
}

hid_t file_type(ElementType type) {
  switch (type) {
    case ElementType::kF32:
      return H5T_IEEE_F32LE;
    case ElementType::kF64:
      return H5T_IEEE_F64LE;
    case ElementType::kI32:
      return H5T_STD_I32LE;
    case ElementType::kI64:
      return H5T_STD_I64LE;
    case ElementType::kU16:
      return H5T_STD_U16LE;
  }
  throw Error(ErrorCode::kInternal, "element type {} does not exist", static_cast<int>(type));
}

}  // namespace troupe::storage::hdf5
