#include "base/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;
using ::testing::Truly;

TEST(Network, KnowsAddresses) {
  for (const char* address : {"127.0.0.1", "10.0.0.7", "::1", "fd00::2", "0.0.0.0"})
    EXPECT_TRUE(is_ip_address(address)) << address;
  for (const char* other : {"", "localhost", "10.0.0", "10.0.0.7:80", "127.0.0.1.example.org", "[::1]"})
    EXPECT_FALSE(is_ip_address(other)) << other;
}

TEST(Network, KnowsLoopback) {
  for (const char* address : {"127.0.0.1", "127.8.9.10", "::1"})
    EXPECT_TRUE(is_loopback_address(address)) << address;
  for (const char* other : {"", "localhost", "10.0.0.7", "128.0.0.1", "::2", "127.0.0.1.example.org"})
    EXPECT_FALSE(is_loopback_address(other)) << other;
}

TEST(Network, OwnAddressesAreLoopbackOnlyWhereThereIsNothingElse) {
  const auto own = own_addresses();
  ASSERT_FALSE(own.empty());
  EXPECT_THAT(own, Each(Truly(is_ip_address)));
  if (!is_loopback_address(own.front())) {
    EXPECT_THAT(own, Not(Contains(Truly(is_loopback_address))));
  }
}

TEST(Network, TheRouteToThisMachineBeginsAtTheAddressItself) {
  EXPECT_EQ(address_towards("127.0.0.1"), "127.0.0.1");
  for (const std::string& own : own_addresses()) EXPECT_EQ(address_towards(own), own);
}

TEST(Network, ThereIsNoRouteToWhatHasNoName) {
  EXPECT_EQ(address_towards("no-such-host.invalid"), std::nullopt);
}

}  // namespace
}  // namespace troupe
