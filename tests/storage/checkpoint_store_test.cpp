#include "storage/checkpoint_store.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "storage/verify.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/sample_state.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;

class CheckpointStoreTest : public ::testing::Test {
 protected:
  CheckpointStoreTest() : store_(folder_ / "checkpoints") {}

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(store_.folder()))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  test::ScratchFolder folder_;
  CheckpointStore store_;
  std::vector<SampleTensor> state_ = sample_state();
};

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(CheckpointStoreTest, PublishesUnderTheStepsNameAndLeavesNothingElse) {
  const auto path = save(store_, state_, 100, 2);
  EXPECT_EQ(path.filename(), "step-00000100");
  EXPECT_THAT(names(), ElementsAre("step-00000100"));
  EXPECT_EQ(store_.open(100).manifest().metadata.step, 100);
  EXPECT_EQ(store_.open_latest().manifest().metadata.step, 100);
}

TEST_F(CheckpointStoreTest, ListsByTimelineThenStepNewestFirst) {
  save(store_, state_, 30, 1);
  save(store_, state_, 9, 1);
  CheckpointMetadata rolled_back = sample_metadata(20, 1);
  rolled_back.timeline = 1;
  save(store_, state_, rolled_back);
  const auto list = store_.list();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].step, 20);
  EXPECT_EQ(list[1].step, 30);
  EXPECT_EQ(list[2].step, 9);
  EXPECT_EQ(list[0].tokens_total, 20 * 4096);
  EXPECT_EQ(store_.open_latest().manifest().metadata.step, 20);
}

TEST_F(CheckpointStoreTest, SavingAStepAgainReplacesIt) {
  save(store_, state_, 5, 1);
  state_[0].bytes[0] ^= std::byte{1};
  const auto path = save(store_, state_, 5, 3);
  EXPECT_EQ(load_manifest(path).metadata.workers, 3);
  EXPECT_TRUE(verify(path).intact());
  EXPECT_THAT(names(), ElementsAre("step-00000005"));
}

TEST_F(CheckpointStoreTest, RetentionKeepsTheNewestAndEveryMultiple) {
  for (const std::int64_t step : {10, 20, 30, 40, 50, 60}) save(store_, state_, step, 1);
  store_.retain({.keep = 2, .keep_every = 30});
  EXPECT_THAT(names(), ElementsAre("step-00000030", "step-00000050", "step-00000060"));
}

TEST_F(CheckpointStoreTest, RetentionNeitherCountsNorRemovesDamagedOnes) {
  for (const std::int64_t step : {10, 20, 30}) save(store_, state_, step, 1);
  fs::remove(store_.folder() / "step-00000030" / "manifest.json");
  store_.retain({.keep = 1, .keep_every = 0});
  EXPECT_THAT(names(), ElementsAre("step-00000020", "step-00000030"));
}

TEST_F(CheckpointStoreTest, InterruptedAttemptsAreIgnoredAndRecovered) {
  save(store_, state_, 10, 1);
  (void)write_shard_file(store_.temporary_folder(20, 3), 0, cut_into_shards(state_, 1)[0]);
  fs::create_directories(store_.folder() / ".tmp-removed-step-00000001");
  EXPECT_EQ(store_.list().size(), 1U);
  store_.recover();
  EXPECT_THAT(names(), ElementsAre("step-00000010"));
}

TEST_F(CheckpointStoreTest, CheckpointMovedAsideComesBackWhenItsReplacementNeverArrived) {
  save(store_, state_, 10, 1);
  fs::rename(store_.folder() / "step-00000010", store_.folder() / ".aside-step-00000010");
  EXPECT_TRUE(store_.list().empty());
  store_.recover();
  EXPECT_TRUE(verify(store_.open(10).folder()).intact());
}

TEST_F(CheckpointStoreTest, CheckpointMovedAsideGoesWhenItsReplacementArrived) {
  save(store_, state_, 10, 1);
  fs::copy(store_.folder() / "step-00000010", store_.folder() / ".aside-step-00000010");
  store_.recover();
  EXPECT_THAT(names(), ElementsAre("step-00000010"));
}

TEST_F(CheckpointStoreTest, EmptyAndMissingStoresSaySo) {
  EXPECT_TRUE(store_.list().empty());
  EXPECT_EQ(store_.search_intact().newest, std::nullopt);
  store_.recover();
  expect_error([&] { (void)store_.open_latest(); }, ErrorCode::kConfig, {"no usable checkpoint"});
  save(store_, state_, 10, 1);
  expect_error([&] { (void)store_.open(11); }, ErrorCode::kConfig, {"step 11", "it has 10"});
}

TEST_F(CheckpointStoreTest, CommitRefusesMissingElementsAndRemovesTheAttempt) {
  save(store_, state_, 10, 2);
  const auto shards = cut_into_shards(state_, 2);
  const auto first = write_shard_file(store_.temporary_folder(20, 7), 0, shards[0]);
  expect_error([&] { (void)store_.commit(sample_metadata(20, 2), {first}); }, ErrorCode::kCorrupt,
               {"step 20", "was not saved", "missing"});
  EXPECT_THAT(names(), ElementsAre("step-00000010"));
}

TEST_F(CheckpointStoreTest, CommitRefusesAFileThatIsNotThere) {
  const auto shards = cut_into_shards(state_, 1);
  const auto first = write_shard_file(store_.temporary_folder(20, 7), 0, shards[0]);
  fs::remove(store_.temporary_folder(20, 7) / "worker-00000.h5");
  expect_error([&] { (void)store_.commit(sample_metadata(20, 1), {first}); }, ErrorCode::kCorrupt,
               {"worker-00000.h5", "missing"});
}

TEST_F(CheckpointStoreTest, TooLittleSpaceIsToldBeforeAnythingIsWritten) {
  expect_error([&] { require_free_space(folder_.path(), std::numeric_limits<std::int64_t>::max()); },
               ErrorCode::kIo, {"no disk space: needs", "TiB, has", folder_.path().string()});
}

constexpr int kCannotRun = 77;
constexpr std::string_view kNeedsMount = "mounting a small file system is not allowed here (it needs root)";

/// Runs `body` in a child process, for limits and mounts that cannot be taken back. Its exit code: 0 when
/// nothing failed in it, kCannotRun when body returned false.
template <class Body>
int run_in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 2;
    try {
      code = !body() ? kCannotRun : ::testing::Test::HasFailure() ? 1 : 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    std::_Exit(code);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void limit_file_size(rlim_t bytes) {
  std::signal(SIGXFSZ, SIG_IGN);  // write(2) then fails with EFBIG
  const rlimit limit{bytes, bytes};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST_F(CheckpointStoreTest, WriteThatFailsHalfwayLeavesNoFileAndThePreviousCheckpoint) {
  const auto previous = save(store_, state_, 10, 1);
  const std::vector<float> values(100'000, 1.0F);
  const std::vector<TensorShard> shards{{"a", Shape{100'000}, 0, std::span<const float>(values)}};
  for (const rlim_t limit : {rlim_t{0}, rlim_t{3'000}, rlim_t{150'000}, rlim_t{399'999}}) {
    const int code = run_in_child([&] {
      limit_file_size(limit);
      expect_error([&] { (void)write_shard_file(store_.temporary_folder(20, 7), 0, shards); }, ErrorCode::kIo,
                   {"worker-00000.h5"});
      EXPECT_TRUE(fs::is_empty(store_.temporary_folder(20, 7)));
      return true;
    });
    EXPECT_EQ(code, 0) << limit;
  }
  EXPECT_TRUE(verify(previous).intact());
}

TEST_F(CheckpointStoreTest, CommitThatCannotWriteRemovesTheAttemptAndKeepsThePreviousCheckpoint) {
  const auto previous = save(store_, state_, 10, 1);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{2'500}}) {
    const auto first = write_shard_file(store_.temporary_folder(20, 7), 0, cut_into_shards(state_, 1)[0]);
    const int code = run_in_child([&] {
      limit_file_size(limit);
      expect_error([&] { (void)store_.commit(sample_metadata(20, 1), {first}); }, ErrorCode::kIo,
                   {"step 20", "was not saved"});
      return true;
    });
    EXPECT_EQ(code, 0) << limit;
    EXPECT_THAT(names(), ElementsAre("step-00000010"));
  }
  EXPECT_TRUE(verify(previous).intact());
}

/// A file system of its own for this process, of the given size.
bool mount_small_file_system(const fs::path& folder, const std::string& size) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
}

// A mount point cannot be renamed.
TEST_F(CheckpointStoreTest, KeepsThePreviousCheckpointWhenRenameFails) {
  const auto previous = save(store_, state_, 20, 2);
  fs::create_directories(store_.temporary_folder(20, 7));
  const int code = run_in_child([&] {
    if (!mount_small_file_system(store_.temporary_folder(20, 7), "1m")) return false;
    const auto first = write_shard_file(store_.temporary_folder(20, 7), 0, cut_into_shards(state_, 1)[0]);
    expect_error([&] { (void)store_.commit(sample_metadata(20, 1), {first}); }, ErrorCode::kIo,
                 {"step 20", "cannot rename", "busy"});
    return true;
  });
  if (code == kCannotRun) GTEST_SKIP() << kNeedsMount;
  EXPECT_EQ(code, 0);
  EXPECT_EQ(load_manifest(previous).metadata.workers, 2);
  EXPECT_TRUE(verify(previous).intact());
}

TEST_F(CheckpointStoreTest, FullDiskLeavesThePreviousCheckpoint) {
  const int code = run_in_child([&] {
    fs::create_directories(store_.folder());
    if (!mount_small_file_system(store_.folder(), "512k")) return false;
    const auto previous = save(store_, state_, 10, 1);
    const std::vector<float> values(200'000, 1.0F);
    const std::vector<TensorShard> large{{"a", Shape{200'000}, 0, std::span<const float>(values)}};
    expect_error([&] { (void)write_shard_file(store_.temporary_folder(20, 7), 0, large); }, ErrorCode::kIo,
                 {"no disk space: needs 847.", "KiB, has"});
    const auto first = write_shard_file(store_.temporary_folder(20, 7), 0, cut_into_shards(state_, 1)[0]);
    std::ofstream(store_.folder() / "filler") << std::string(1'000'000, 'x');
    expect_error([&] { (void)store_.commit(sample_metadata(20, 1), {first}); }, ErrorCode::kIo,
                 {"No space left"});
    EXPECT_THAT(names(), ElementsAre("filler", "step-00000010"));
    EXPECT_TRUE(verify(previous).intact());
    return true;
  });
  if (code == kCannotRun) GTEST_SKIP() << kNeedsMount;
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace troupe::storage
