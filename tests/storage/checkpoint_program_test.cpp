// `troupe checkpoint` as people run it: what it prints where, and its exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "storage/verify.h"
#include "tests/scratch_folder.h"
#include "tests/storage/sample_state.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string output;
  std::string errors;
};

/// A run with the checkpoints of steps 10 and 20.
class CheckpointProgram : public ::testing::Test {
 protected:
  CheckpointProgram() : store_(run_folder_ / "checkpoints") {
    save(store_, sample_state(), 10, 2);
    newest_ = save(store_, sample_state(), 20, 3);
  }

  Outcome run(const std::string& arguments) {
    const fs::path output = run_folder_ / "output";
    const fs::path errors = run_folder_ / "errors";
    const std::string command = std::string(TROUPE_PROGRAM) + " checkpoint " + arguments + " >" +
                                output.string() + " 2>" + errors.string();
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(output, 1 << 20),
            read_file(errors, 1 << 20)};
  }

  [[nodiscard]] std::string run_path() const { return run_folder_.path().string(); }

  test::ScratchFolder run_folder_;
  CheckpointStore store_;
  fs::path newest_;
};

TEST_F(CheckpointProgram, ListsNewestFirst) {
  const Outcome outcome = run("list --json " + run_path());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(outcome.output)[0]["step"], 20);
  EXPECT_THAT(run("list " + run_path()).output, HasSubstr("step-00000010"));
}

TEST_F(CheckpointProgram, InspectsTheNewestOfARun) {
  const Outcome outcome = run("inspect --json " + run_path());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(outcome.output)["metadata"]["workers"], 3);
}

TEST_F(CheckpointProgram, DigestIsTheOnlyOutputAndNamesNoPath) {
  const Outcome outcome = run("verify --digest " + run_path());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output, digest(newest_) + "  step-00000020\n");
  EXPECT_EQ(outcome.errors, "");
}

TEST_F(CheckpointProgram, DamageEndsWithOneAndNamesTheFile) {
  fs::resize_file(newest_ / "worker-00001.h5", 100);
  const Outcome named = run("verify --digest " + newest_.string());
  EXPECT_EQ(named.exit_code, 1);
  EXPECT_THAT(named.output, HasSubstr("worker-00001.h5"));
  EXPECT_EQ(run("list " + run_path()).exit_code, 1);
  const Outcome whole = run("verify " + run_path());
  EXPECT_EQ(whole.exit_code, 1);
  EXPECT_THAT(whole.output, HasSubstr("step-00000010 is intact"));
  EXPECT_THAT(whole.errors, HasSubstr("worker-00001.h5"));
}

TEST_F(CheckpointProgram, AFlippedBitOfAnOlderCheckpointEndsWithOne) {
  const fs::path older = run_folder_ / "checkpoints" / "step-00000010";
  std::string bytes = read_file(older / "worker-00001.h5", 1 << 20);
  bytes[2000] = static_cast<char>(bytes[2000] ^ 1);
  write_file_atomically(older / "worker-00001.h5", bytes);
  const Outcome outcome = run("verify " + run_path());
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, HasSubstr("step-00000020 is intact"));
  EXPECT_THAT(outcome.errors, HasSubstr("step-00000010/worker-00001.h5"));
  EXPECT_EQ(run("verify " + newest_.string()).exit_code, 0);
}

TEST_F(CheckpointProgram, WrongPathsAndCommandsEndWithTwo) {
  const Outcome missing = run("verify " + run_path() + "/nothing");
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.errors, HasSubstr("neither a run folder"));
  EXPECT_EQ(run("").exit_code, 2);
  EXPECT_EQ(run("verify").exit_code, 2);
}

}  // namespace
}  // namespace troupe::storage
