#include "coordinator/job/stop_requests.h"

#include <gtest/gtest.h>

#include "base/signals.h"

namespace troupe::coordinator {
namespace {

using Meaning = StopRequests::Meaning;

constexpr TimePoint kStart{};
constexpr TimePoint kMomentsLater = kStart + std::chrono::milliseconds(20);
constexpr TimePoint kLater = kStart + std::chrono::seconds(1);

TEST(StopRequests, TheFirstOfAnyKindSaves) {
  for (const int signal : signals::kStopSignals) {
    EXPECT_EQ(StopRequests(true).receive(signal, kStart), Meaning::kSave) << signals::name_of(signal);
  }
}

TEST(StopRequests, ASecondCtrlCOrSigtermEndsAtOnce) {
  for (const int signal : {SIGINT, SIGTERM}) {
    StopRequests requests(true);
    ASSERT_EQ(requests.receive(signal, kStart), Meaning::kSave);
    EXPECT_EQ(requests.receive(signal, kLater), Meaning::kEndAtOnce);
  }
}

TEST(StopRequests, TheSameSignalToProcessAndGroupIsOneRequest) {
  StopRequests requests(true);
  ASSERT_EQ(requests.receive(SIGTERM, kStart), Meaning::kSave);
  EXPECT_EQ(requests.receive(SIGTERM, kMomentsLater), Meaning::kNothingNew);
  EXPECT_EQ(requests.receive(SIGTERM, kLater), Meaning::kEndAtOnce);
}

TEST(StopRequests, AWarningAndThenTheOrderDoNotAbortTheSave) {
  for (const int warning : {SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU}) {
    StopRequests requests(true);
    ASSERT_EQ(requests.receive(warning, kStart), Meaning::kSave);
    EXPECT_EQ(requests.receive(SIGTERM, kLater), Meaning::kNothingNew);
    EXPECT_EQ(requests.receive(warning, kLater), Meaning::kNothingNew) << "however often";
  }
}

TEST(StopRequests, UnderMpirunNothingEndsAtOnce) {
  StopRequests requests(false);
  ASSERT_EQ(requests.receive(SIGTERM, kStart), Meaning::kSave);
  EXPECT_EQ(requests.receive(SIGTERM, kLater), Meaning::kNothingNew) << "mpirun passes on what it got";
}

}  // namespace
}  // namespace troupe::coordinator
