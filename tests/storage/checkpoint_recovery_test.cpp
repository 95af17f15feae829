// What a store with damaged, unreadable or half-replaced checkpoints offers to go on from, and what it keeps.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "storage/verify.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/sample_state.h"
#include "tests/storage/unreadable.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CheckpointRecovery : public ::testing::Test {
 protected:
  CheckpointRecovery() : store_(folder_.path()) {}

  fs::path save_step(std::int64_t step) { return save(store_, sample_state(), step, 2); }

  /// As a process that starts now sees the folder: it remembers nothing.
  [[nodiscard]] CheckpointStore reopened() const { return CheckpointStore(folder_.path()); }

  [[nodiscard]] fs::path step(std::int64_t number) const {
    return folder_ / fmt::format("step-{:08}", number);
  }
  [[nodiscard]] fs::path aside(std::int64_t number) const {
    return folder_ / fmt::format(".aside-step-{:08}", number);
  }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  /// Names and sizes stay as they were: only reading all of it tells.
  static void flip_byte(const fs::path& checkpoint) {
    std::fstream file(checkpoint / "worker-00001.h5", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(2000);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(2000);
    file.put(byte);
  }

  test::ScratchFolder folder_;
  CheckpointStore store_;
};

TEST_F(CheckpointRecovery, RetentionDoesNotCountSilentlyDamagedOnes) {
  save_step(10);
  save_step(15);
  flip_byte(save_step(20));
  CheckpointStore later = reopened();
  save(later, sample_state(), 25, 2);
  later.retain({.keep = 2, .keep_every = 0});
  EXPECT_THAT(names(), ElementsAre("step-00000015", "step-00000020", "step-00000025"));
}

TEST_F(CheckpointRecovery, RetentionNeverRemovesTheOnlyIntactOne) {
  for (const std::int64_t number : {30, 40}) flip_byte(save_step(number));
  CheckpointStore later = reopened();
  save(later, sample_state(), 5, 2);
  later.retain({.keep = 1, .keep_every = 0});
  EXPECT_THAT(names(), ElementsAre("step-00000005", "step-00000030", "step-00000040"));
}

TEST_F(CheckpointRecovery, RetentionReadsEachCheckpointOnce) {
  save_step(10);
  CheckpointStore later = reopened();
  later.retain({.keep = 3, .keep_every = 0});
  flip_byte(step(10));  // not noticed any more
  save(later, sample_state(), 20, 2);
  later.retain({.keep = 2, .keep_every = 0});
  EXPECT_THAT(names(), ElementsAre("step-00000010", "step-00000020"));
  EXPECT_EQ(later.search_intact().newest, step(20));
}

TEST_F(CheckpointRecovery, SearchTellsWhatItPassedOver) {
  save_step(10);
  flip_byte(save_step(20));
  fs::remove(save_step(30) / "manifest.json");
  CheckpointStore later = reopened();
  const IntactSearch found = later.search_intact();
  EXPECT_EQ(found.newest, step(10));
  ASSERT_EQ(found.passed_over.size(), 2U);
  EXPECT_THAT(found.passed_over[0].state(), HasSubstr("damaged: "));
  EXPECT_THAT(found.passed_over[0].problem, HasSubstr("worker-00001.h5 was changed"));
  EXPECT_THAT(found.passed_over[1].problem, HasSubstr("manifest.json is missing"));
}

TEST_F(CheckpointRecovery, DamageKeepsTheTimelineThatTheManifestTells) {
  CheckpointMetadata metadata = sample_metadata(20, 2);
  metadata.timeline = 3;
  fs::resize_file(save(store_, sample_state(), metadata) / "worker-00000.h5", 10);
  EXPECT_FALSE(store_.list().front().usable());
  EXPECT_EQ(store_.list().front().timeline, 3);
}

TEST_F(CheckpointRecovery, WhatMayNotBeReadIsNotCalledDamaged) {
  save_step(10);
  for (const fs::path& forbidden :
       {save_step(20) / "worker-00000.h5", step(20) / "manifest.json", step(20)}) {
    forbid_reading(forbidden);
    const OrdinaryUser user;
    CheckpointStore later = reopened();
    const IntactSearch found = later.search_intact();
    EXPECT_EQ(found.newest, step(10));
    ASSERT_EQ(found.passed_over.size(), 1U);
    EXPECT_TRUE(found.passed_over[0].unreadable) << forbidden;
    EXPECT_THAT(found.passed_over[0].state(), HasSubstr("not readable: "));
    EXPECT_THAT(found.passed_over[0].state(), HasSubstr("Permission denied"));
    EXPECT_TRUE(verify(step(20)).unreadable);
  }
  allow_reading(step(20));
}

TEST_F(CheckpointRecovery, WhatWasMovedAsideComesBackForADamagedReplacement) {
  fs::copy(save_step(10), aside(10));
  flip_byte(step(10));
  reopened().recover();
  EXPECT_THAT(names(), ElementsAre("step-00000010"));
  EXPECT_TRUE(verify(step(10)).intact());
}

TEST_F(CheckpointRecovery, NothingIsRemovedWhenBothAreDamaged) {
  flip_byte(save_step(10));
  fs::copy(step(10), aside(10));
  reopened().recover();
  EXPECT_THAT(names(), ElementsAre(".aside-step-00000010", "step-00000010"));
}

}  // namespace
}  // namespace troupe::storage
