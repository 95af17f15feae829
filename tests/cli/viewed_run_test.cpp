#include "cli/run/viewed_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ViewedRunTest : public ::testing::Test {
 protected:
  ViewedRunTest() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    clock_.set(TimePoint(std::chrono::seconds(1000)));
  }
  ~ViewedRunTest() override { fs::remove_all(folder_); }

  void append(const char* file, const std::string& text) const {
    std::ofstream(folder_ / file, std::ios::app) << text;
  }
  void append_step(std::int64_t step, double time) const {
    append("metrics.jsonl", json{{"schema", 1},
                                 {"time", time},
                                 {"step", step},
                                 {"tokens", 64 * step},
                                 {"metrics", {{"loss", 2.5}}},
                                 {"layers", json::array()}}
                                    .dump() +
                                "\n");
  }
  static json state_of(ViewedRun& run) { return json::parse(run.hub().state_json()); }

  fs::path folder_ = fs::path(::testing::TempDir()) / "viewed-run-7";
  ManualClock clock_;
};

TEST_F(ViewedRunTest, SaysWhetherARunIsOverFromItsStepsAndItsSilence) {
  append("config.yaml", "run: {steps: 3}\n");
  append_step(1, 900.0);
  ViewedRun run(folder_, "viewed-run-7", 0, clock_);
  run.follow();
  EXPECT_EQ(state_of(run)["state"], "not finished");
  append_step(2, 999.0);
  run.follow();
  EXPECT_EQ(state_of(run)["state"], "training");
  append_step(3, 999.5);
  run.follow();
  EXPECT_EQ(state_of(run)["state"], "finished");
  EXPECT_EQ(state_of(run)["run"]["steps"], 3);
}

TEST_F(ViewedRunTest, ShowsTextsAndCheckpointsOfTheFolderOnceEach) {
  append("config.yaml", "run: {steps: 3}\nsampling: {prompts: [Once]}\n");
  append_step(1, 900.0);
  append("samples.txt", "== step 1\nOnce more\n\n");
  fs::create_directories(folder_ / "checkpoints" / "step-00000001");
  ViewedRun run(folder_, "viewed-run-7", 0, clock_);
  run.follow();
  append("samples.txt", "== step 2\nOnce again\n\n");
  append_step(2, 901.0);
  run.follow();
  const json state = state_of(run);
  ASSERT_EQ(state["samples"].size(), 2U);
  EXPECT_EQ(state["samples"][1]["prompt"], "Once");
  EXPECT_EQ(state["samples"][1]["text"], " again");
  ASSERT_EQ(state["checkpoints"].size(), 1U);
  EXPECT_NE(state["checkpoints"][0]["error"], "") << "a folder without a manifest is damaged";
}

TEST_F(ViewedRunTest, NeedsNeitherAConfigurationNorACorpus) {
  append_step(1, 900.0);
  ViewedRun run(folder_, "viewed-run-7", 0, clock_);
  run.follow();
  EXPECT_EQ(state_of(run)["step"]["step"], 1);
}

TEST_F(ViewedRunTest, RefusesAFolderWithoutARun) {
  try {
    const ViewedRun run(folder_, "viewed-run-7", 0, clock_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("name the folder of a run"));
  }
}

TEST(RunNames, AreTheFoldersOwnUnlessTwoAreTheSame) {
  EXPECT_THAT(run_names({"runs/a-1", "runs/a-2/", "./runs/b-1/."}), ElementsAre("a-1", "a-2", "b-1"));
  EXPECT_THAT(run_names({"x/a-1", "y/a-1"}), ElementsAre("x/a-1", "y/a-1"));
}

}  // namespace
}  // namespace troupe::cli
