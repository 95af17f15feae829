#include "storage/hash.h"

#include <gtest/gtest.h>

#include <string_view>

namespace troupe::storage {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// XXH3-128 of no bytes with seed 0, from xxHash's own sanity check.
TEST(Hash128, MatchesThePublishedValueAndXxh128sum) {
  EXPECT_EQ(hash_bytes({}).to_string(), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash128, PiecesHashLikeTheWhole) {
  const std::string text(10'000, 'q');
  Hasher hasher;
  hasher.update(bytes_of(text).first(1234));
  hasher.update(bytes_of(text).subspan(1234));
  EXPECT_EQ(hasher.finish(), hash_bytes(bytes_of(text)));
}

TEST(Hash128, ParsesOnlyItsOwnSpelling) {
  const Hash128 hash{0x0123456789abcdefU, 0x00000000000000ffU};
  EXPECT_EQ(Hash128::parse(hash.to_string()), hash);
  for (const char* text : {"", "0123456789ABCDEF00000000000000FF", "+123456789abcdef00000000000000ff",
                           "0123456789abcdef00000000000000f", "0123456789abcdef00000000000000ff0"}) {
    EXPECT_EQ(Hash128::parse(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace troupe::storage
