#include "base/sha256.h"

#include <gtest/gtest.h>

namespace troupe {
namespace {

// FIPS 180-4's example.
constexpr std::string_view kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, MatchesThePublishedValueInOnePieceAndInMore) {
  EXPECT_EQ(sha256("abc"), kOfAbc);
  Sha256 sum;
  sum.update(std::as_bytes(std::span("a", 1)));
  sum.update(std::as_bytes(std::span("bc", 2)));
  EXPECT_EQ(sum.finish(), kOfAbc);
}

}  // namespace
}  // namespace troupe
