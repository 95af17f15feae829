#include "coordinator/job/hostfile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/network.h"

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

TEST(Hostfile, AnAddressOfThisMachineIsNotRemote) {
  for (const std::string& own : own_addresses()) EXPECT_FALSE(is_remote({own, 0})) << own;
  EXPECT_FALSE(is_remote({"127.0.1.1", 0}));
  EXPECT_TRUE(is_remote({"192.0.2.77", 0}));
}

TEST(Hostfile, IsReadAsItWasWritten) {
  const std::vector<Host> hosts{{"node1", 4}, {"node2", 0}};
  EXPECT_EQ(parse_hostfile(format_hostfile(hosts), "hosts"), hosts);
}

}  // namespace
}  // namespace troupe::coordinator
