#include "layout/packed_counts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace troupe::layout {
namespace {

using Counts = std::vector<std::int64_t>;

TEST(PackedCounts, AreWhatTheHeaderSays) {
  EXPECT_EQ(pack_counts(Counts{6, 2, 0, 0}), "4,0,3,FgA=");
  EXPECT_EQ(pack_counts(Counts{7, 7}), "2,7,0,");
  EXPECT_EQ(pack_counts(Counts{}), "0,0,0,");
}

TEST(PackedCounts, KeepEveryCount) {
  const Random random(1, RandomPurpose::kTest);
  std::uint64_t next = 0;
  for (const std::size_t size : {1U, 2U, 3U, 4U, 5U, 7U, 64U, 257U}) {
    for (const int bits : {0, 1, 3, 8, 13, 31, 32, 33, 62}) {
      Counts counts(size);
      for (std::int64_t& count : counts)
        count = static_cast<std::int64_t>(random.bits(next++) >> 1 >> (62 - bits));
      EXPECT_EQ(unpack_counts(pack_counts(counts)), counts) << size << " of " << bits << " bits";
    }
  }
  const Counts widest{0, std::numeric_limits<std::int64_t>::max()};
  EXPECT_EQ(unpack_counts(pack_counts(widest)), widest);
}

TEST(PackedCounts, OfAnEvenLoadTakeAThirdOfTheirDigits) {
  const Random random(2, RandomPurpose::kTest);
  Counts counts(256);
  std::size_t digits = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = 131'072 + static_cast<std::int64_t>(random.below(i, 1000));
    digits += std::to_string(counts[i]).size() + 1;
  }
  EXPECT_LT(3 * pack_counts(counts).size(), digits);
}

TEST(PackedCounts, RefuseWhatIsNone) {
  for (const char* text :
       {"", "4", "4,0,3", "4,0,3,FgA", "4,0,3,Fg==", "6,0,3,FgA=", "4,0,3,F=A=", "4,0,3,====", "4,-1,3,FgA=",
        "x,0,3,FgA=", "4,0,3,Fg\n=", "4,0,64,AAAAAAAAAAA=", "9999999999999,0,0,"}) {
    EXPECT_THROW((void)unpack_counts(text), Error) << text;
  }
}

}  // namespace
}  // namespace troupe::layout
