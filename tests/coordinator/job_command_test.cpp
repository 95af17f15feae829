#include "coordinator/job_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace troupe::coordinator {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

JobOptions options() {
  JobOptions result;
  result.program = "/opt/troupe";
  result.run_folder = "/runs/a b";
  result.workers = 4;
  result.threads = 2;
  result.cores = 9;
  return result;
}

std::string joined(const JobCommand& command) {
  std::string text;
  for (const std::string& argument : command.arguments) text += argument + "|";
  return text;
}

TEST(JobCommand, StartsTheWorkersByMpirun) {
  EXPECT_THAT(
      build_job_command(options()).arguments,
      ElementsAre("mpirun", "-n", "4", "--oversubscribe", "--bind-to", "none", "-x", "OMP_NUM_THREADS", "-x",
                  "OMP_WAIT_POLICY", "/opt/troupe", "worker", "--run-dir", "/runs/a b"));
}

TEST(JobCommand, InprocIsOneProcessWithoutMpi) {
  JobOptions inproc = options();
  inproc.backend = layout::Backend::kInproc;
  const JobCommand command = build_job_command(inproc);
  EXPECT_THAT(command.arguments, ElementsAre("/opt/troupe", "worker", "--run-dir", "/runs/a b"));
  EXPECT_THAT(command.environment, Contains(Pair("OMP_NUM_THREADS", "2")));
  EXPECT_EQ(command.death_signal, SIGKILL);
}

TEST(JobCommand, RanksYieldOnlyWhenTheyShareCores) {
  JobOptions crowded = options();
  EXPECT_THAT(joined(build_job_command(crowded)), Not(::testing::HasSubstr("yield")));
  crowded.cores = 8;
  EXPECT_THAT(joined(build_job_command(crowded)), ::testing::HasSubstr("|--mca|mpi_yield_when_idle|1|"));
}

TEST(JobCommand, OpenMpIsToldThreadsAndToSleep) {
  EXPECT_THAT(build_job_command(options()).environment,
              ElementsAre(Pair("OMP_NUM_THREADS", "2"), Pair("OMP_WAIT_POLICY", "passive")));
}

TEST(JobCommand, RootIsAllowedOnlyWhenItIsRoot) {
  JobOptions root = options();
  EXPECT_THAT(build_job_command(root).environment, Not(Contains(Key("OMPI_ALLOW_RUN_AS_ROOT"))));
  root.is_root = true;
  EXPECT_THAT(
      build_job_command(root).environment,
      IsSupersetOf({Pair("OMPI_ALLOW_RUN_AS_ROOT", "1"), Pair("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")}));
}

TEST(JobCommand, HostsInterfaceAndOwnArgumentsArePassedOnBeforeTheProgram) {
  JobOptions cluster = options();
  cluster.launch.hostfile = "hosts";
  cluster.launch.interface = "eth1";
  cluster.launch.mpirun_args = {"--tag-output"};
  const std::string line = joined(build_job_command(cluster));
  EXPECT_THAT(line, ::testing::HasSubstr("|--hostfile|hosts|"));
  EXPECT_THAT(line, ::testing::HasSubstr("|--mca|btl_tcp_if_include|eth1|--mca|oob_tcp_if_include|eth1|"));
  EXPECT_THAT(line, ::testing::HasSubstr("|--tag-output|/opt/troupe|worker|"));
  EXPECT_THAT(line, Not(::testing::HasSubstr("--oversubscribe")))
      << "a hostfile says how many slots there are";
}

}  // namespace
}  // namespace troupe::coordinator
