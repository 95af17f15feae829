#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace troupe {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kConfig:
      return "configuration";
    case ErrorCode::kCorrupt:
      return "corrupt data";
    case ErrorCode::kPeerLost:
      return "peer lost";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kIo:
      return "input/output";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

Error io_error(const std::string& what) {
  const int number = errno;
  return Error(ErrorCode::kIo, "{}: {}", what, std::generic_category().message(number));
}

namespace detail {
void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  throw Error(ErrorCode::kInternal, "{}:{}: {} ({})", file, line, message, condition);
}
}  // namespace detail

}  // namespace troupe
