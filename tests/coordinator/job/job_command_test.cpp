#include "coordinator/job/job_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace troupe::coordinator {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

JobOptions options() {
  JobOptions result;
  result.command = {"/opt/troupe", "worker", "--run-dir", "/runs/a b"};
  result.workers = 4;
  result.threads = 2;
  result.cores = 9;
  return result;
}

std::string joined(const Command& command) {
  std::string text;
  for (const std::string& argument : command.arguments) text += argument + "|";
  return text;
}

TEST(JobCommand, StartsTheWorkersByMpirun) {
  EXPECT_THAT(build_job_command(options()).arguments,
              ElementsAre("mpirun", "-n", "4", "--oversubscribe", "--bind-to", "none", "--mca", "btl",
                          "self,vader", "--mca", "oob_tcp_if_include", "lo", "-x", "OMP_NUM_THREADS", "-x",
                          "OMP_WAIT_POLICY", "/opt/troupe", "worker", "--run-dir", "/runs/a b"));
}

TEST(JobCommand, MpirunIsDeafToWhatIsSentToEverythingAndEndsAtSighup) {
  EXPECT_EQ(build_job_command(options()).end_signal, SIGHUP);
  EXPECT_THAT(build_job_command(options()).blocked_signals, ElementsAre(SIGINT, SIGTERM));
}

TEST(JobCommand, AJobOnOneMachineStaysOnItsLoopback) {
  JobOptions here = options();
  here.loopback_library = "/opt/lib/loopback.so";
  here.preloaded = "jemalloc.so";
  EXPECT_THAT(build_job_command(here).environment,
              Contains(Pair("LD_PRELOAD", "/opt/lib/loopback.so jemalloc.so")));
  EXPECT_THAT(joined(build_job_command(here)), HasSubstr("|-x|LD_PRELOAD=jemalloc.so|/opt/troupe|"));
  std::vector<JobOptions> elsewhere(4, here);
  elsewhere[0].launch.hostfile = "hosts";
  elsewhere[1].is_allocated = true;
  elsewhere[2].launch.mpirun_args = {"--host", "a,b"};
  elsewhere[3].launch.interface = "eth1";
  for (const JobOptions& job : elsewhere) {
    EXPECT_THAT(joined(build_job_command(job)), Not(HasSubstr("self,vader")));
    EXPECT_THAT(build_job_command(job).environment, Not(Contains(Key("LD_PRELOAD"))));
  }
}

TEST(JobCommand, TheJobsTokenIsInNobodysArguments) {
  for (const layout::Backend backend : {layout::Backend::kMpi, layout::Backend::kInproc}) {
    JobOptions given = options();
    given.backend = backend;
    given.job = "token";
    const Command command = build_job_command(given);
    EXPECT_EQ(command.environment.at("TROUPE_JOB"), "token");
    EXPECT_THAT(command.arguments, Not(Contains(HasSubstr("token"))));
  }
}

TEST(JobCommand, InprocIsOneProcessWithoutMpi) {
  JobOptions inproc = options();
  inproc.backend = layout::Backend::kInproc;
  const Command command = build_job_command(inproc);
  EXPECT_THAT(command.arguments, ElementsAre("/opt/troupe", "worker", "--run-dir", "/runs/a b"));
  EXPECT_THAT(command.environment, Contains(Pair("OMP_NUM_THREADS", "2")));
  EXPECT_EQ(command.end_signal, SIGKILL);
}

TEST(JobCommand, WorkersAsThreadsAreSaidToHaveTheirOwnCoresWhenThereAreEnough) {
  JobOptions inproc = options();
  inproc.backend = layout::Backend::kInproc;
  inproc.cores = inproc.workers * inproc.threads;
  EXPECT_THAT(describe_binding(inproc), HasSubstr("cores of their own"));
  --inproc.cores;
  EXPECT_THAT(describe_binding(inproc), HasSubstr("none"));
}

TEST(JobCommand, RanksYieldOnlyWhenTheyShareCores) {
  JobOptions crowded = options();
  EXPECT_THAT(joined(build_job_command(crowded)), Not(HasSubstr("yield")));
  crowded.cores = 8;
  EXPECT_THAT(joined(build_job_command(crowded)), HasSubstr("|--mca|mpi_yield_when_idle|1|"));
}

TEST(JobCommand, WorkersAreBoundToEqualSharesWhenOneCoreIsLeft) {
  JobOptions roomy = options();  // 4 workers of 2 threads, and the coordinator
  roomy.whole_cores = 12;
  EXPECT_THAT(joined(build_job_command(roomy)), HasSubstr("|--map-by|slot:PE=3|--bind-to|core|"));
  EXPECT_EQ(describe_binding(roomy), "worker 0 on cores 0-2, …, worker 3 on cores 9-11");
  roomy.whole_cores = 8;
  EXPECT_THAT(joined(build_job_command(roomy)), HasSubstr("|--bind-to|none|"));
  EXPECT_THAT(joined(build_job_command(roomy)), Not(HasSubstr("map-by")));
  EXPECT_THAT(describe_binding(roomy), HasSubstr("4 workers x 2 threads and the coordinator share 8 cores"));
}

TEST(JobCommand, OneCoreEachIsNamedAsOne) {
  JobOptions pair = options();
  pair.workers = 2;
  pair.threads = 1;
  pair.whole_cores = 3;
  EXPECT_EQ(describe_binding(pair), "worker 0 on core 0, worker 1 on core 1");
}

TEST(JobCommand, PartsOfAMachineAndOtherHostsAreNotBound) {
  JobOptions part = options();
  part.whole_cores = 0;
  EXPECT_THAT(joined(build_job_command(part)), HasSubstr("|--bind-to|none|"));
  EXPECT_THAT(describe_binding(part), HasSubstr("may not run on all cores"));
  JobOptions cluster = options();
  cluster.whole_cores = 64;
  cluster.launch.hostfile = "hosts";
  EXPECT_THAT(joined(build_job_command(cluster)), HasSubstr("|--bind-to|none|"));
  EXPECT_THAT(describe_binding(cluster), HasSubstr("other hosts"));
}

TEST(JobCommand, OwnPlacementIsLeftAlone) {
  JobOptions placed = options();
  placed.whole_cores = 64;
  placed.launch.mpirun_args = {"--bind-to", "numa"};
  EXPECT_THAT(joined(build_job_command(placed)), Not(HasSubstr("|--bind-to|core|")));
  EXPECT_THAT(joined(build_job_command(placed)), Not(HasSubstr("|--bind-to|none|")));
  placed.launch.mpirun_args = {"-map-by", "node"};
  EXPECT_THAT(joined(build_job_command(placed)), HasSubstr("|--bind-to|none|"));
  EXPECT_THAT(joined(build_job_command(placed)), Not(HasSubstr("slot:PE")));
  EXPECT_EQ(describe_binding(placed), "as launch.mpirun_args say");
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
  EXPECT_THAT(line, HasSubstr("|--hostfile|hosts|"));
  EXPECT_THAT(line, HasSubstr("|--mca|btl_tcp_if_include|eth1|--mca|oob_tcp_if_include|eth1|"));
  EXPECT_THAT(line, HasSubstr("|--tag-output|/opt/troupe|worker|"));
  EXPECT_THAT(line, Not(HasSubstr("--oversubscribe"))) << "a hostfile says how many slots there are";
}

}  // namespace
}  // namespace troupe::coordinator
