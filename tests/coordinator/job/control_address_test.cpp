#include "coordinator/job/control_address.h"

#include <gtest/gtest.h>

#include "base/network.h"

namespace troupe::coordinator {
namespace {

TEST(ControlAddress, IsWhereTheRouteToTheHostsBegins) {
  for (const std::string& own : own_addresses()) {
    if (is_loopback_address(own)) continue;
    EXPECT_EQ(control_address_for({own}), own);
    EXPECT_EQ(control_address_for({own, own}), own);
  }
}

TEST(ControlAddress, IsEveryAddressWhereTheRoutesDifferOrAreNotKnown) {
  EXPECT_EQ(control_address_for({"no-such-host.invalid"}), kAllAddresses);
  EXPECT_EQ(control_address_for({own_addresses().front(), "no-such-host.invalid"}), kAllAddresses);
  EXPECT_EQ(control_address_for({own_addresses().front(), "127.0.0.1"}), kAllAddresses);
  EXPECT_EQ(control_address_for({"127.0.0.1"}), kAllAddresses);
}

}  // namespace
}  // namespace troupe::coordinator
