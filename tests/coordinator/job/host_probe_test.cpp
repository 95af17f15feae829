#include "coordinator/job/host_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/child_process.h"
#include "base/error.h"
#include "tests/scratch_folder.h"

namespace troupe::coordinator {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kLong = 60s;  // never reached unless something is broken

/// A stand-in for ssh.
std::string write_agent(const test::ScratchFolder& folder, const std::string& script) {
  const std::filesystem::path path = folder / "agent";
  std::ofstream(path) << "#!/bin/sh\n" << script;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path.string();
}

TEST(HostProbe, AHostAnswersWhenACommandRunsThere) {
  const test::ScratchFolder folder;
  const std::string agent = write_agent(folder, "[ $1 = -q ] && shift; [ $2 = true ] && [ $1 != dead ]");
  EXPECT_THAT(probe_hosts({"a", "dead", "b"}, {agent, "-q"}, kLong), ElementsAre(true, false, true));
  EXPECT_THAT(probe_hosts({}, {agent}, kLong), IsEmpty());
}

TEST(HostProbe, WhoDoesNotAnswerInTimeCountsAsGoneAndIsNotWaitedFor) {
  const test::ScratchFolder folder;
  const std::string agent = write_agent(folder, "[ $1 = dead ] && exec sleep 1000; exit 0");
  EXPECT_THAT(probe_hosts({"dead"}, {agent}, 0ms), ElementsAre(false));
  EXPECT_THAT(children_of_this_process(), IsEmpty());
}

TEST(HostProbe, AnAgentThatIsMissingIsNamed) {
  EXPECT_THROW((void)probe_hosts({"a"}, {"/no/such/agent"}, kLong), Error);
}

TEST(HostProbe, TheAgentIsTheOneThatMpirunUses) {
  ::unsetenv("OMPI_MCA_plm_rsh_agent");
  EXPECT_THAT(remote_agent({}), ElementsAre("ssh"));
  ::setenv("OMPI_MCA_plm_rsh_agent", "rsh -x : ssh", 1);
  EXPECT_THAT(remote_agent({}), ElementsAre("rsh", "-x"));
  LaunchOptions launch;
  launch.mpirun_args = {"--mca", "plm_rsh_agent", "ssh -p 2222"};
  EXPECT_THAT(remote_agent(launch), ElementsAre("ssh", "-p", "2222"));
  ::unsetenv("OMPI_MCA_plm_rsh_agent");
}

}  // namespace
}  // namespace troupe::coordinator
