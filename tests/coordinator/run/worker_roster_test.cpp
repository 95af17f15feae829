#include "coordinator/run/worker_roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe::coordinator {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr Duration kLimit = milliseconds(2000);

comm::JoinRequested identity(std::int64_t rank, std::int64_t ranks = 1) {
  return {.first_rank = rank,
          .ranks = ranks,
          .world_size = 4,
          .host = "node" + std::to_string(rank),
          .process_id = 100 + rank,
          .numerics_fingerprint = 0xabc,
          .run_folder_nonce = "nonce"};
}

WorkerRoster roster() { return {4, "nonce", kLimit}; }

TEST(WorkerRoster, IsCompleteWhenEveryRankIsThere) {
  WorkerRoster workers = roster();
  EXPECT_EQ(workers.admit(1, identity(2), {}), std::nullopt);
  EXPECT_EQ(workers.admit(2, identity(0, 2), {}), std::nullopt);
  EXPECT_FALSE(workers.complete());
  EXPECT_EQ(missing_ranks({1, 4, workers.view({})}), "3");
  EXPECT_EQ(workers.admit(3, identity(3), {}), std::nullopt);
  EXPECT_TRUE(workers.complete());
  EXPECT_EQ(missing_ranks({1, 4, workers.view({})}), "");
}

TEST(WorkerRoster, NamesMissingRanksAsRanges) {
  WorkerRoster workers = roster();
  EXPECT_EQ(missing_ranks({1, 4, workers.view({})}), "0-3");
  (void)workers.admit(1, identity(1), {});
  EXPECT_EQ(missing_ranks({1, 4, workers.view({})}), "0, 2-3");
}

TEST(WorkerRoster, RefusesOtherNumbersWithBothFingerprints) {
  WorkerRoster workers = roster();
  (void)workers.admit(1, identity(0), {});
  comm::JoinRequested other = identity(1);
  other.numerics_fingerprint = 0xdef;
  EXPECT_THAT(workers.admit(2, other, {}),
              Optional(AllOf(HasSubstr("0000000000000abc"), HasSubstr("0000000000000def"),
                             HasSubstr("worker 0 (host node0, process 100)"))));
  EXPECT_FALSE(workers.complete());
}

TEST(WorkerRoster, RefusesAnotherRunFolderWithBothNonces) {
  WorkerRoster workers = roster();
  comm::JoinRequested other = identity(1);
  other.run_folder_nonce = "elsewhere";
  EXPECT_THAT(workers.admit(1, other, {}), Optional(AllOf(HasSubstr("nonce"), HasSubstr("elsewhere"))));
  other.run_folder_nonce.clear();
  EXPECT_THAT(workers.admit(1, other, {}), Optional(HasSubstr("it read none")));
}

TEST(WorkerRoster, RefusesAnotherWorldSize) {
  WorkerRoster workers = roster();
  comm::JoinRequested other = identity(1);
  other.world_size = 8;
  EXPECT_THAT(workers.admit(1, other, {}), Optional(AllOf(HasSubstr("8 workers"), HasSubstr("has 4"))));
}

TEST(WorkerRoster, RefusesRanksThatAreTaken) {
  WorkerRoster workers = roster();
  (void)workers.admit(1, identity(1, 2), {});
  for (const auto& taken :
       {identity(1), identity(2), identity(2, 2), identity(0, 2), identity(0, 4), identity(1, 2)}) {
    EXPECT_THAT(workers.admit(2, taken, {}), Optional(HasSubstr("is taken by workers 1-2")))
        << taken.first_rank << "+" << taken.ranks;
  }
}

TEST(WorkerRoster, RefusesImpossibleRanks) {
  WorkerRoster workers = roster();
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  for (const auto& impossible : {identity(4), identity(-1), identity(3, 2), identity(0, 0), identity(0, -1),
                                 identity(huge), identity(1, huge)}) {
    EXPECT_NE(workers.admit(1, impossible, {}), std::nullopt)
        << impossible.first_rank << "+" << impossible.ranks;
  }
}

TEST(WorkerRoster, ALostWorkersRankCanBeTakenAgain) {
  WorkerRoster workers = roster();
  (void)workers.admit(1, identity(1), {});
  workers.remove(1);
  EXPECT_EQ(workers.find(1), nullptr);
  EXPECT_EQ(workers.admit(2, identity(1), {}), std::nullopt);
}

TEST(WorkerRoster, SuspectsASilentWorkerOnceAndHearsItComeBack) {
  WorkerRoster workers = roster();
  const TimePoint start{};
  (void)workers.admit(1, identity(0), start);
  (void)workers.admit(2, identity(1), start);
  (void)workers.heard(2, start + milliseconds(1500));
  EXPECT_THAT(workers.suspect(start + milliseconds(2000)), IsEmpty());
  EXPECT_THAT(workers.suspect(start + milliseconds(2001)), ElementsAre(1));
  EXPECT_THAT(workers.suspect(start + milliseconds(2500)), IsEmpty()) << "already said";
  EXPECT_TRUE(workers.view(start + milliseconds(2500))[0].suspected);
  EXPECT_EQ(workers.heard(1, start + milliseconds(3000)), milliseconds(3000));
  EXPECT_EQ(workers.heard(1, start + milliseconds(3100)), std::nullopt) << "it was not suspected any more";
}

TEST(WorkerRoster, AnOldSignOfLifeDoesNotClearASuspicion) {
  WorkerRoster workers = roster();
  const TimePoint start{};
  (void)workers.admit(1, identity(0), start);
  EXPECT_THAT(workers.suspect(start + milliseconds(2001)), ElementsAre(1));
  EXPECT_EQ(workers.heard(1, start), std::nullopt);
  EXPECT_TRUE(workers.find(1)->suspected);
}

TEST(WorkerRoster, ForgivesSilenceWhileItStoodStillItself) {
  WorkerRoster workers = roster();
  const TimePoint start{};
  (void)workers.admit(1, identity(0), start);
  workers.forgive(start + milliseconds(5000));
  EXPECT_THAT(workers.suspect(start + milliseconds(6000)), IsEmpty());
}

}  // namespace
}  // namespace troupe::coordinator
