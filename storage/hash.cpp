#include "storage/hash.h"

#include <fmt/format.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // the same hashes by the widest vectors that the machine has
#endif

#include <charconv>

#include "base/error.h"

namespace troupe::storage {
namespace {

XXH3_state_t* state_of(void* state) { return static_cast<XXH3_state_t*>(state); }

std::optional<std::uint64_t> parse_word(std::string_view digits) {
  std::uint64_t word = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), word, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return word;
}

}  // namespace

std::string Hash128::to_string() const { return fmt::format("{:016x}{:016x}", high, low); }

std::optional<Hash128> Hash128::parse(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto high = parse_word(text.substr(0, 16));
  const auto low = parse_word(text.substr(16));
  if (!high || !low) return std::nullopt;
  const Hash128 hash{*high, *low};
  return hash.to_string() == text ? std::optional(hash) : std::nullopt;  // one spelling only
}

void Hasher::Free::operator()(void* state) const { XXH3_freeState(state_of(state)); }

Hasher::Hasher() : state_(XXH3_createState()) {
  TROUPE_CHECK(state_ != nullptr && XXH3_128bits_reset(state_of(state_.get())) == XXH_OK,
               "XXH3 has no state");
}

void Hasher::update(std::span<const std::byte> bytes) {
  TROUPE_CHECK(XXH3_128bits_update(state_of(state_.get()), bytes.data(), bytes.size()) == XXH_OK,
               "XXH3 refuses {} bytes", bytes.size());
}

Hash128 Hasher::finish() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_of(state_.get()));
  return {hash.high64, hash.low64};
}

Hash128 hash_bytes(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

}  // namespace troupe::storage
