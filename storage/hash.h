#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace troupe::storage {

/// An XXH3-128 hash: finds damage, does not prove authorship.
struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  /// 32 lower-case hexadecimal digits, as `xxh128sum` prints them.
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] static std::optional<Hash128> parse(std::string_view text);
  bool operator==(const Hash128&) const = default;
};

/// XXH3-128 of bytes that arrive in pieces.
class Hasher {
 public:
  Hasher();
  void update(std::span<const std::byte> bytes);
  [[nodiscard]] Hash128 finish() const;

 private:
  struct Free {
    void operator()(void* state) const;
  };
  std::unique_ptr<void, Free> state_;  // XXH3_state_t
};

[[nodiscard]] Hash128 hash_bytes(std::span<const std::byte> bytes);

}  // namespace troupe::storage
