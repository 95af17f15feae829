// Snapshots in shared memory: only whole ones are found, whatever a worker that died left.
#include "storage/memory_snapshots.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "storage/verified_file.h"
#include "tests/storage/expect_error.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kElements = 10;  // of one tensor, half of which each of two workers holds

class MemorySnapshotsTest : public ::testing::Test {
 protected:
  MemorySnapshotsTest() : snapshots_("test-" + std::to_string(::getpid())) {}
  ~MemorySnapshotsTest() override { remove_tree(snapshots_.folder()); }

  fs::path begin(std::int64_t epoch, std::int64_t timeline = 0) const {
    return snapshots_.begin({.identity = "run", .timeline = timeline, .epoch = epoch, .workers = 2});
  }

  /// A worker's part: elements that tell step and place.
  static void take(const fs::path& folder, std::int64_t rank, std::int64_t step, bool finish = true) {
    SnapshotSlot slot(folder / slot_name(rank, static_cast<int>(step % 2)));
    std::array<float, kElements / 2> values{};
    const std::int64_t first = rank * std::ssize(values);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(100 * step + first) + static_cast<float>(i);
    const auto bytes = std::as_bytes(std::span(values));
    std::ranges::copy(bytes, slot.begin(bytes.size(), 1).begin());
    if (!finish) return;
    slot.finish(
        rank, step,
        {{"weight", ElementType::kF32, Shape{kElements}, first, std::ssize(values), hash_bytes(bytes)}});
  }
  static void take_all(const fs::path& folder, std::int64_t step) {
    for (const std::int64_t rank : {0, 1}) take(folder, rank, step);
  }

  [[nodiscard]] std::int64_t newest(std::int64_t last_step = 1000) const {
    const auto found = snapshots_.newest("run", last_step);
    return found ? found->step : -1;
  }

  static void flip(const fs::path& file, std::int64_t at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(at);
    stream.put(byte);
  }

  MemorySnapshots snapshots_;
};

TEST_F(MemorySnapshotsTest, TheNewestIsReadWhoeverReads) {
  const fs::path folder = begin(1);
  take_all(folder, 4);
  take_all(folder, 5);
  ASSERT_EQ(newest(), 5);
  SnapshotReader reader(folder, 5);
  std::array<float, 4> across{};
  reader.read("weight", 3, std::span<float>(across));  // of both workers
  EXPECT_EQ(across, (std::array<float, 4>{503, 504, 505, 506}));
}

TEST_F(MemorySnapshotsTest, OneThatNotAllWorkersHoldIsNone) {
  const fs::path folder = begin(1);
  take_all(folder, 4);
  take(folder, 0, 5);
  EXPECT_EQ(newest(), 4);
  take(folder, 1, 5, /*finish=*/false);  // it died while it copied
  EXPECT_EQ(newest(), 4);
}

TEST_F(MemorySnapshotsTest, AnyFlippedBitIsNoticed) {
  const fs::path folder = begin(1);
  take_all(folder, 4);
  take_all(folder, 5);
  const fs::path slot = folder / slot_name(1, 1);
  const auto used = static_cast<std::int64_t>(read_slot(slot).data.size());
  for (std::int64_t at = 0; at < 48 + used + 200; at += 7) {  // header, data, description
    flip(slot, at);
    EXPECT_EQ(newest(), 4) << at;
    flip(slot, at);
  }
  EXPECT_EQ(newest(), 5);
  fs::resize_file(slot, 60);
  EXPECT_EQ(newest(), 4);
}

TEST_F(MemorySnapshotsTest, NotAfterWhatTheMetricsTellNorOfAnotherRun) {
  const fs::path folder = begin(1);
  take_all(folder, 4);
  take_all(folder, 5);
  EXPECT_EQ(newest(4), 4);
  EXPECT_EQ(newest(3), -1);
  EXPECT_FALSE(snapshots_.newest("another configuration", 1000));
}

TEST_F(MemorySnapshotsTest, ANewTimelineWinsThenTheStep) {
  take_all(begin(1), 8);
  const fs::path second = begin(2, 1);
  EXPECT_EQ(newest(), 8);  // nothing was taken there yet
  take_all(second, 3);
  EXPECT_EQ(newest(), 3);
}

TEST_F(MemorySnapshotsTest, WhatIsGoneOnFromStaysUntilTheNextOneIsWhole) {
  const fs::path first = begin(1);
  take_all(first, 4);
  take_all(first, 5);
  snapshots_.keep_only(snapshots_.newest("run", 1000));
  EXPECT_EQ(newest(4), -1);  // its slots are free
  const fs::path second = begin(2);
  EXPECT_EQ(newest(), 5);
  take_all(second, 6);
  EXPECT_EQ(newest(), 6);
  remove_earlier_snapshots(second);
  EXPECT_FALSE(path_exists(first));
  EXPECT_EQ(newest(), 6);
  snapshots_.keep_only(std::nullopt);
  EXPECT_FALSE(path_exists(snapshots_.folder()));
}

TEST_F(MemorySnapshotsTest, MoreThanThereIsRoomForIsRefused) {
  snapshots_.require_room(1000);
  expect_error([&] { snapshots_.require_room(std::int64_t{1} << 60); }, ErrorCode::kConfig,
               {"checkpoint.snapshot_every", "/dev/shm", "--shm-size"});
}

}  // namespace
}  // namespace troupe::storage
