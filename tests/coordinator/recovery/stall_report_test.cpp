#include "coordinator/recovery/stall_report.h"

#include <gtest/gtest.h>

#include <vector>

namespace troupe::coordinator {
namespace {

using std::chrono::seconds;

StalledProcess process(std::int64_t rank, const std::string& collective, std::int64_t collectives,
                       std::int64_t layer = 3, const std::string& phase = "forward") {
  StalledProcess result{.host = "a", .process_id = 10 + rank, .activity = {rank, 12, "training"}};
  result.activity.places.push_back({.rank = rank,
                                    .phase = phase,
                                    .layer = layer,
                                    .collective = collective,
                                    .collectives = collectives,
                                    .moves = 1});
  return result;
}

std::string describe(const std::vector<StalledProcess>& processes) {
  return describe_stall(processes, seconds(31), std::chrono::milliseconds(200));
}

TEST(StallReport, WhoHasBegunFewerCollectivesIsWaitedFor) {
  EXPECT_EQ(
      describe({process(0, "all_to_all_v", 8, 3, "dispatch"), process(1, "", 7, 2)}),
      "no worker got any further for 31.0 s (a step takes 0.2 s): worker 1 (host a, process 11) stands in "
      "step 12, forward, layer 2; worker 0 (host a, process 10) is in step 12, dispatch, layer 3, "
      "all_to_all_v and waits for it");
}

TEST(StallReport, AnEarlierCollectiveIsNamed) {
  EXPECT_EQ(
      describe({process(0, "all_to_all_v", 7), process(1, "all_reduce_sum", 9, -1, "reduce"),
                process(2, "all_reduce_sum", 9, -1, "reduce")}),
      "no worker got any further for 31.0 s (a step takes 0.2 s): worker 0 (host a, process 10) stands in "
      "step 12, forward, layer 3, all_to_all_v; worker 1 (host a, process 11) is in step 12, reduce, "
      "all_reduce_sum, worker 2 (host a, process 12) is in step 12, reduce, all_reduce_sum and wait for it");
}

TEST(StallReport, OfThoseInTheSamePlaceWhoIsInNoCollectiveIsWaitedFor) {
  const std::string text = describe({process(0, "barrier", 7), process(1, "", 7)});
  EXPECT_NE(text.find(": worker 1 (host a, process 11) stands in"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("barrier and waits for it")) << text;
}

TEST(StallReport, WhoIsSilentIsWaitedFor) {
  StalledProcess frozen = process(1, "all_to_all_v", 8);
  frozen.silent = true;
  const std::string text = describe({process(0, "all_to_all_v", 8), frozen});
  EXPECT_NE(
      text.find("worker 1 (host a, process 11) stands in step 12, forward, layer 3, all_to_all_v, and is "
                "silent; worker 0"),
      std::string::npos)
      << text;
}

TEST(StallReport, AllInOneCollectiveWaitForEachOther) {
  const std::string text = describe({process(0, "barrier", 7), process(1, "barrier", 7)});
  EXPECT_TRUE(text.ends_with("barrier: none is behind the others")) << text;
}

TEST(StallReport, ThousandsAreNotAllNamed) {
  std::vector<StalledProcess> many;
  for (std::int64_t rank = 0; rank < 1000; ++rank)
    many.push_back(process(rank, "barrier", rank == 7 ? 6 : 7));
  const std::string text = describe(many);
  EXPECT_LT(text.size(), 1000U);
  EXPECT_NE(text.find("and 995 more and wait for it"), std::string::npos) << text;
}

TEST(StallReport, WithoutPlacesThereIsOnlyTheTime) {
  EXPECT_EQ(describe_stall({}, seconds(31), {}), "no worker got any further for 31.0 s");
}

}  // namespace
}  // namespace troupe::coordinator
