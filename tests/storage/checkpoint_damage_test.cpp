#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "storage/verify.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/sample_state.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;

/// Two checkpoints of three workers; tests damage the newer one.
class CheckpointDamage : public ::testing::Test {
 protected:
  CheckpointDamage() : store_(folder_.path()) {
    older_ = save(store_, sample_state(), 10, 3);
    newer_ = save(store_, sample_state(), 20, 3);
  }

  static void flip_byte(const fs::path& path, std::streamoff position) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(position);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(position);
    file.put(byte);
  }

  /// Reading everything names `part`, verify and digest do too, and the older checkpoint is used.
  void expect_detected(const std::string& part) {
    const auto read_all = [&] {
      CheckpointReader reader(newer_);
      for (const TensorEntry& tensor : reader.tensors()) {
        std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.size_bytes()));
        reader.read_bytes(tensor, 0, bytes);
      }
    };
    expect_error(read_all, ErrorCode::kCorrupt, {part});
    expect_error([&] { (void)digest(newer_); }, ErrorCode::kCorrupt, {part});
    const VerifyReport report = verify(newer_);
    ASSERT_FALSE(report.intact());
    EXPECT_THAT(report.problems.front(), ::testing::HasSubstr(part));
    EXPECT_EQ(CheckpointStore(folder_.path()).search_intact().newest, older_);
  }

  test::ScratchFolder folder_;
  CheckpointStore store_;
  fs::path older_;
  fs::path newer_;
};

TEST_F(CheckpointDamage, IntactCheckpointsVerify) {
  const VerifyReport report = verify(newer_);
  EXPECT_TRUE(report.intact());
  EXPECT_EQ(report.files, 4);
  EXPECT_EQ(report.tensors, 6);
  EXPECT_EQ(CheckpointStore(folder_.path()).search_intact().newest, newer_);
}

TEST_F(CheckpointDamage, FlippedByteAnywhereInAShardIsDetected) {
  const auto size = static_cast<std::streamoff>(fs::file_size(newer_ / "worker-00001.h5"));
  for (const std::streamoff position : {std::streamoff{0}, size / 3, size / 2, size - 1}) {
    flip_byte(newer_ / "worker-00001.h5", position);
    expect_detected("worker-00001.h5");
    flip_byte(newer_ / "worker-00001.h5", position);
  }
  EXPECT_TRUE(verify(newer_).intact());
}

TEST_F(CheckpointDamage, TruncatedShardIsDetected) {
  fs::resize_file(newer_ / "worker-00002.h5", fs::file_size(newer_ / "worker-00002.h5") - 1);
  expect_detected("worker-00002.h5");
}

TEST_F(CheckpointDamage, MissingShardIsDetectedAndListed) {
  fs::remove(newer_ / "worker-00000.h5");
  expect_detected("worker-00000.h5");
  EXPECT_THAT(store_.list().back().problem, ::testing::HasSubstr("worker-00000.h5"));
}

TEST_F(CheckpointDamage, SwappedShardsAreDetected) {
  fs::rename(newer_ / "worker-00001.h5", newer_ / "x");
  fs::rename(newer_ / "worker-00002.h5", newer_ / "worker-00001.h5");
  fs::rename(newer_ / "x", newer_ / "worker-00002.h5");
  expect_detected("worker-0000");
}

TEST_F(CheckpointDamage, LinkInPlaceOfAShardIsDetected) {
  fs::rename(newer_ / "worker-00001.h5", folder_ / "elsewhere.h5");
  fs::create_symlink(folder_ / "elsewhere.h5", newer_ / "worker-00001.h5");
  expect_detected("worker-00001.h5");
}

TEST_F(CheckpointDamage, EditedManifestIsDetected) {
  std::string text = read_file(newer_ / "manifest.json", 1 << 20);
  text.replace(text.find("\"data_cursor\": 320"), 18, "\"data_cursor\": 321");
  write_file_atomically(newer_ / "manifest.json", text);
  expect_detected("manifest.json");
}

TEST_F(CheckpointDamage, MissingManifestIsDetected) {
  fs::remove(newer_ / "manifest.json");
  expect_detected("manifest.json");
}

TEST_F(CheckpointDamage, DamagedVirtualFileIsFoundByVerify) {
  flip_byte(newer_ / "checkpoint.h5", 600);
  const VerifyReport report = verify(newer_);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems.front(), ::testing::HasSubstr("checkpoint.h5"));
}

// A forged manifest cannot make a reader take another dataset than it names.
TEST_F(CheckpointDamage, ManifestThatContradictsItsFilesIsRefused) {
  Manifest manifest = load_manifest(newer_);
  for (TensorEntry& tensor : manifest.tensors) {
    if (tensor.name == "embedding") tensor.name = "embedded";
  }
  write_file_atomically(newer_ / "manifest.json", serialize_manifest(manifest));
  expect_detected("embedded");
}

TEST_F(CheckpointDamage, FolderWithAnotherStepsContentIsNotUsed) {
  fs::rename(newer_, folder_ / "step-00000030");
  EXPECT_THAT(store_.list().back().problem, ::testing::HasSubstr("holds step 20"));
}

}  // namespace
}  // namespace troupe::storage
