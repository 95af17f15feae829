#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace troupe {
namespace {

TEST(Arena, AllocatesAlignedAndApart) {
  Arena arena(4096);
  const TensorView first = arena.allocate(Shape{3});
  const TensorView second = arena.allocate(Shape{2, 5});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % kTensorAlignment, 0U);
  EXPECT_EQ(second.data() - first.data(), 64);
  EXPECT_EQ(second.row_stride(), 5);
}

TEST(Arena, HandsOutBytesByType) {
  Arena arena(4096);
  (void)arena.allocate(Shape{32}, DType::kBF16);
  EXPECT_EQ(arena.peak_bytes(), 64U);
  EXPECT_EQ(arena.allocate(Shape{4}, DType::kI32).dtype(), DType::kI32);
}

TEST(Arena, ReservesMoreThanTheMachineHasWithoutTouchingIt) {
  Arena arena(std::size_t{1} << 40);
  const TensorView view = arena.allocate(Shape{std::int64_t{1} << 30});
  view.f32()[0] = 1.0F;
  EXPECT_EQ(view.f32()[0], 1.0F);
}

TEST(Arena, ReusesMemoryAfterAScope) {
  Arena arena(4096);
  const TensorView kept = arena.allocate(Shape{16});
  std::byte* inside = nullptr;
  {
    const ArenaScope scope(arena);
    inside = arena.allocate(Shape{16}).data();
    (void)arena.allocate(Shape{256});
  }
  EXPECT_EQ(arena.allocate(Shape{16}).data(), inside);
  EXPECT_NE(inside, kept.data());
  EXPECT_EQ(arena.peak_bytes(), 64U + 64U + 1024U);
  arena.reset();
  EXPECT_EQ(arena.allocate(Shape{16}).data(), kept.data());
}

TEST(Arena, ExhaustedNamesTheSizes) {
  Arena arena(128);
  (void)arena.allocate(Shape{16});
  try {
    (void)arena.allocate(Shape{17});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_NE(std::string(error.what()).find("64 of 128 bytes left, 128 are needed"), std::string::npos)
        << error.what();
  }
  EXPECT_NO_THROW((void)arena.allocate(Shape{16}));  // the failed request took nothing
}

TEST(Arena, RefusesWhatTheSystemCannotReserve) {
  EXPECT_THROW(Arena(std::size_t{1} << 62), Error);
  EXPECT_THROW(Arena(0), Error);
}

}  // namespace
}  // namespace troupe
