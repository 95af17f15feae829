#include "storage/checkpoint_path.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "storage/checkpoint_report.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/sample_state.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;

/// A run folder with the checkpoints of steps 10 and 20.
class CheckpointPath : public ::testing::Test {
 protected:
  CheckpointPath() : store_(run_ / "checkpoints") {
    save(store_, sample_state(), 10, 2);
    newest_ = save(store_, sample_state(), 20, 1);
  }
  test::ScratchFolder run_;
  CheckpointStore store_;
  fs::path newest_;
};

TEST_F(CheckpointPath, RunItsCheckpointsFolderAndACheckpointAreAllUnderstood) {
  for (const fs::path& path : {run_.path(), run_.path() / "", store_.folder(), newest_, newest_ / ""}) {
    EXPECT_EQ(find_checkpoint(path), newest_) << path;
  }
  EXPECT_EQ(find_checkpoints(run_.path()).size(), 2U);
  EXPECT_EQ(find_checkpoints(newest_).size(), 1U);
  EXPECT_EQ(find_checkpoint(store_.folder() / "step-00000010"), store_.folder() / "step-00000010");
}

TEST_F(CheckpointPath, CheckpointUnderAnotherNameIsUnderstood) {
  fs::rename(newest_, run_ / "best");
  EXPECT_EQ(find_checkpoints(run_ / "best").front().step, 20);
  EXPECT_EQ(find_checkpoint(run_ / "best"), run_ / "best");
}

TEST_F(CheckpointPath, OtherPathsAreRefusedWithWhatWasExpected) {
  expect_error([&] { (void)find_checkpoints(run_ / "missing"); }, ErrorCode::kConfig,
               {"missing", "run folder"});
  expect_error([&] { (void)find_checkpoint(store_.folder() / "step-00000030"); }, ErrorCode::kConfig,
               {"step-00000030"});
}

TEST_F(CheckpointPath, DamagedNewestIsPassedOverUnlessItIsNamed) {
  fs::remove(newest_ / "manifest.json");
  EXPECT_EQ(find_checkpoint(run_.path()), store_.folder() / "step-00000010");
  EXPECT_EQ(find_checkpoint(newest_), newest_);
  fs::remove(store_.folder() / "step-00000010" / "worker-00000.h5");
  expect_error([&] { (void)find_checkpoint(run_.path()); }, ErrorCode::kCorrupt,
               {"no usable checkpoint", "missing"});
}

TEST_F(CheckpointPath, ReportsAreValidJsonAndNameTheDamage) {
  fs::remove(newest_ / "worker-00000.h5");
  const auto list = nlohmann::json::parse(list_as_json(find_checkpoints(run_.path())));
  EXPECT_EQ(list[0]["step"], 10);
  EXPECT_EQ(list[1]["usable"], false);
  EXPECT_THAT(list_as_text(find_checkpoints(run_.path())),
              ::testing::HasSubstr("worker-00000.h5 is missing"));
  const auto manifest = nlohmann::json::parse(manifest_as_json(newest_, load_manifest(newest_)));
  EXPECT_EQ(manifest["metadata"]["tokens_total"], 20 * 4096);
  EXPECT_EQ(manifest["tensors"][0]["name"], "balancer/previous_counts");
  EXPECT_THAT(manifest_as_text(newest_, load_manifest(newest_)), ::testing::HasSubstr("[4, 6, 5]"));
  const auto verification =
      nlohmann::json::parse(verification_as_json(newest_, verify(newest_), std::nullopt));
  EXPECT_EQ(verification["intact"], false);
  EXPECT_THAT(verification["problems"][0], ::testing::HasSubstr("worker-00000.h5"));
}

TEST_F(CheckpointPath, DigestLineIsTheSameForEqualStates) {
  CheckpointStore other(run_ / "other");
  const auto same = save(other, sample_state(), 20, 5);
  EXPECT_EQ(verification_as_text(newest_, verify(newest_), digest(newest_)),
            verification_as_text(same, verify(same), digest(same)));
}

}  // namespace
}  // namespace troupe::storage
