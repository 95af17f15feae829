#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// The part of CBOR (RFC 8949) that control messages consist of, without a tree in between: integers, numbers
/// of 32 and 64 bits, true and false, text in UTF-8, and lists and maps of known length.
namespace troupe::comm::detail {

class CborWriter {
 public:
  void integer(std::int64_t value);
  void unsigned_integer(std::uint64_t value);
  void number(double value);
  void number(float value);
  void boolean(bool value);
  /// Must be UTF-8.
  void text(std::string_view value);
  /// So many elements, or pairs of key and value, follow.
  void list(std::size_t elements);
  void map(std::size_t pairs);

  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  void head(unsigned major, std::uint64_t argument);

  std::string bytes_;
};

/// Takes items from outside in their order. Every function throws Error{kCorrupt} when the next item is not
/// of its kind, or is not all there. Nothing is allocated, and nesting is the caller's.
class CborReader {
 public:
  explicit CborReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] std::int64_t integer();
  [[nodiscard]] std::uint64_t unsigned_integer();
  [[nodiscard]] double number64();
  [[nodiscard]] float number32();
  [[nodiscard]] bool boolean();
  /// Part of the bytes that are read.
  [[nodiscard]] std::string_view text();
  /// How many elements, or pairs of key and value, follow: no more than bytes are left.
  [[nodiscard]] std::size_t list();
  [[nodiscard]] std::size_t map();
  /// Nothing may follow.
  void end() const;

 private:
  struct Head {
    unsigned major = 0;
    unsigned info = 0;
    std::uint64_t argument = 0;
  };
  [[nodiscard]] Head head();
  [[nodiscard]] std::uint64_t argument_of(unsigned major, const char* wanted);
  [[nodiscard]] std::uint64_t simple(unsigned info, const char* wanted);
  [[nodiscard]] std::uint64_t take(std::size_t count);
  [[noreturn]] void refuse(const char* what) const;

  std::string_view bytes_;
  std::size_t offset_ = 0;
};

}  // namespace troupe::comm::detail
