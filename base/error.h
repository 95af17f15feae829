#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace troupe {

/// Why something failed, as far as a caller decides by it.
enum class ErrorCode {
  kConfig,    // the user asked for something impossible: exit 2
  kCorrupt,   // bytes from outside are not what they should be
  kPeerLost,  // another process is gone
  kTimeout,   // a deadline passed
  kIo,        // the operating system refused
  kInternal,  // a broken invariant of ours
};

[[nodiscard]] std::string_view to_string(ErrorCode code);

/// The one exception type. The message says what, where, and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  template <class... Args>
  Error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args)
      : Error(code, fmt::format(format, std::forward<Args>(args)...)) {}

  [[nodiscard]] ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// An Error{kIo} for a failed system call: "<what>: <strerror(errno)>".
[[nodiscard]] Error io_error(const std::string& what);

namespace detail {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);
}  // namespace detail

}  // namespace troupe

/// Throws Error{kInternal} when an invariant of ours is broken. The message is an fmt format.
#define TROUPE_CHECK(condition, ...)                                                              \
  do {                                                                                            \
    if (!(condition)) [[unlikely]]                                                                \
      ::troupe::detail::check_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)
