#include "tensor/device/device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "tensor/cuda/emulation/runtime.h"

namespace troupe::device {
namespace {

static_assert(!std::is_copy_constructible_v<Device> && std::is_move_constructible_v<Device>);
static_assert(!std::is_copy_constructible_v<Memory> && std::is_move_constructible_v<Memory>);
static_assert(!std::is_copy_constructible_v<Queue> && std::is_move_constructible_v<Queue>);
static_assert(!std::is_copy_constructible_v<Event> && std::is_move_constructible_v<Event>);

float* floats(const Memory& memory) { return static_cast<float*>(memory.data()); }

TEST(Device, FreshMemoryIsPoisonedAndAligned) {
  Device device;
  const Memory memory = device.allocate(100 * sizeof(float));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % 256, 0U);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(std::isnan(floats(memory)[i]));
}

TEST(Device, WorkRunsAtTheLatestWhenTheHostWaits) {
  Device device;
  const Memory memory = device.allocate(sizeof(float));
  const float value = 3.0F;
  device.compute().copy(memory.data(), &value, sizeof value);
  EXPECT_TRUE(std::isnan(*floats(memory)));
  device.compute().synchronize();
  EXPECT_EQ(*floats(memory), 3.0F);
}

/// Writes 1 in one queue, copies it to `target` in another, with or without the event between.
float copied_by_another_queue(bool with_event, std::uint64_t seed) {
  cuda::emulation::set_seed(seed);
  Device device;
  const Memory source = device.allocate(sizeof(float));
  const Memory target = device.allocate(sizeof(float));
  const float value = 1.0F;
  Event written;
  device.compute().copy(source.data(), &value, sizeof value);
  device.compute().record(written);
  if (with_event) device.copies().wait(written);
  device.copies().copy(target.data(), source.data(), sizeof value);
  device.copies().synchronize();
  return *floats(target);
}

TEST(Device, EventOrdersTwoQueues) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) EXPECT_EQ(copied_by_another_queue(true, seed), 1.0F);
}

TEST(Device, MissingEventShowsUnderSomeSeed) {
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    wrong += copied_by_another_queue(false, seed) == 1.0F ? 0 : 1;
  EXPECT_GT(wrong, 0);
}

TEST(Device, WaitingForAnEventRunsWhatComesBeforeItAndNoMore) {
  Device device;
  const float value = 1.0F;
  float before = 0.0F;
  float after = 0.0F;
  Event event;
  EXPECT_TRUE(event.happened());
  device.compute().copy(&before, &value, sizeof value);
  device.compute().record(event);
  device.compute().copy(&after, &value, sizeof value);
  EXPECT_FALSE(event.happened());
  event.wait();
  EXPECT_EQ(before, 1.0F);
  EXPECT_EQ(after, 0.0F);
  device.compute().synchronize();
}

TEST(Device, MovedFromHandlesLeaveTheTargetWhole) {
  Memory memory(MemoryKind::kDevice, 64);
  void* data = memory.data();
  const Memory moved = std::move(memory);
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(memory.data(), nullptr);  // NOLINT: what a moved-from handle holds is the contract
  Queue queue;
  Queue other = std::move(queue);
  const float value = 5.0F;
  float target = 0.0F;
  other.copy(&target, &value, sizeof value);
  other.synchronize();
  EXPECT_EQ(target, 5.0F);
}

TEST(PinnedRing, UploadsMoreThanItHolds) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    cuda::emulation::set_seed(seed);
    Device device;
    PinnedRing ring(256);
    const Memory memory = device.allocate(100 * 48);
    for (int i = 0; i < 100; ++i) {
      const std::vector<float> values(12, static_cast<float>(i));
      ring.upload(device.compute(), floats(memory) + i * 12, std::as_bytes(std::span(values)));
    }
    device.compute().synchronize();
    for (int i = 0; i < 1200; ++i)
      ASSERT_EQ(floats(memory)[i], static_cast<float>(i / 12)) << "seed " << seed;
  }
}

TEST(PinnedRing, RefusesWhatIsLargerThanItself) {
  PinnedRing ring(256);
  EXPECT_THROW((void)ring.take(257), Error);
}

}  // namespace
}  // namespace troupe::device
