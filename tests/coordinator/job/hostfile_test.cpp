#include "coordinator/job/hostfile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(const std::string& text) {
  try {
    (void)parse_hostfile(text, "hosts");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    return error.what();
  }
}

TEST(Hostfile, HasHostsWithSlots) {
  const auto hosts =
      parse_hostfile("# a cluster\n\nnode1 slots=4 max_slots=8\n  node2  # no slots\n", "hosts");
  EXPECT_THAT(hosts, ElementsAre(Host{"node1", 4}, Host{"node2", 0}));
  EXPECT_EQ(total_slots(hosts, 6), 10);
}

TEST(Hostfile, WhatMpirunWouldStumbleOverIsNamedWithItsLine) {
  EXPECT_THAT(refusal("node1\r\nnode2\r\n"),
              AllOf(HasSubstr("hosts:1: "), HasSubstr("Windows"), HasSubstr("sed")));
  EXPECT_THAT(refusal("# none\n\n"), HasSubstr("names no host"));
  EXPECT_THAT(refusal(""), HasSubstr("names no host"));
  EXPECT_THAT(refusal("node1\nnode2 slots=many\n"), HasSubstr("hosts:2: 'slots=many'"));
  EXPECT_THAT(refusal("node1 slots=0\n"), HasSubstr("at least 1"));
  EXPECT_THROW((void)read_hostfile("/nowhere/hosts"), Error);
}

TEST(Hostfile, ThisMachineIsNotRemote) {
  EXPECT_FALSE(is_remote({"localhost", 0}));
  EXPECT_FALSE(is_remote({"127.0.0.1", 0}));
  EXPECT_TRUE(is_remote({"no-such-host.example.org", 0}));
}

TEST(Hostfile, SlurmTellsTasksAndNodes) {
  ::setenv("SLURM_NTASKS", "12", 1);
  ::setenv("SLURM_JOB_NUM_NODES", "3", 1);
  EXPECT_EQ(batch_allocation().tasks, 12);
  EXPECT_EQ(batch_allocation().nodes, 3);
  ::unsetenv("SLURM_NTASKS");
  ::unsetenv("SLURM_JOB_NUM_NODES");
  EXPECT_EQ(batch_allocation().tasks, 0);
}

}  // namespace
}  // namespace troupe::coordinator
