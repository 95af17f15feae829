#include "base/child_process.h"

#include <gtest/gtest.h>

#include "tests/data/expect_error.h"
#include "tests/scratch_folder.h"

namespace troupe {
namespace {

ChildResult shell(const std::string& script, const std::filesystem::path& folder = "/") {
  return run_program({"sh", "-c", script}, folder);
}

TEST(RunProgram, GivesOutputErrorsAndExitCode) {
  const ChildResult result = shell("echo out; echo err >&2; exit 7");
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.errors, "err\n");
}

TEST(RunProgram, TellsASignal) { EXPECT_EQ(shell("kill -9 $$").exit_code, 137); }

TEST(RunProgram, RunsInTheFolderWithoutInputAndInEnglish) {
  const test::ScratchFolder folder;
  EXPECT_EQ(shell("pwd -P; cat; echo $LC_ALL", folder.path()).output,
            std::filesystem::canonical(folder.path()).string() + "\nC.UTF-8\n");
}

TEST(RunProgram, PassesArgumentsWithoutInterpretingThem) {
  const auto result = run_program({"printf", "%s", "$(echo no); * 'x'"}, "/");
  EXPECT_EQ(result.output, "$(echo no); * 'x'");
}

TEST(RunProgram, KeepsTheBeginningOfEndlessTalk) {
  const ChildResult result = shell("head -c 3000000 /dev/zero");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output.size(), std::size_t{1} << 20);
}

TEST(RunProgram, NamesAProgramThatIsMissing) {
  data::expect_error(ErrorCode::kIo, "no-such-program", [] { (void)run_program({"no-such-program"}, "/"); });
}

}  // namespace
}  // namespace troupe
