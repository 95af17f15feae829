#include "coordinator/job/launcher_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LauncherWords, NameTheHostsOfLostDaemonsOnce) {
  constexpr const char* kLost =
      "step 7\n"
      "--------------------------------------------------------------------------\n"
      "ORTE has lost communication with a remote daemon.\n\n"
      "  HNP daemon   : [[691,0],0] on node login\n"
      "  Remote daemon: [[691,0],1] on node gpu-7\n\n"
      "This is usually due to either a failure of the TCP network\n"
      "--------------------------------------------------------------------------\n";
  EXPECT_THAT(hosts_of_lost_daemons(kLost), ElementsAre("gpu-7"));
  EXPECT_THAT(
      hosts_of_lost_daemons(std::string(kLost) + "  Remote daemon: [[691,0],2] on node gpu-8\n" + kLost),
      ElementsAre("gpu-7", "gpu-8"));
}

TEST(LauncherWords, NameNoneWhereNoneWasLost) {
  EXPECT_THAT(hosts_of_lost_daemons(""), IsEmpty());
  EXPECT_THAT(hosts_of_lost_daemons("mpirun noticed that process rank 1 on node gpu-7 exited on signal 9\n"),
              IsEmpty());
}

}  // namespace
}  // namespace troupe::coordinator
