#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/comm/collectives/backend.h"

namespace troupe::comm::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Sizes = std::vector<std::int64_t>;

/// What the last rank of a group throws when rank 0 sends it `sent` bytes and it expects `expected`.
std::string mismatch(Communicator& group, std::int64_t sent, std::int64_t expected) {
  const auto last = static_cast<std::size_t>(group.size() - 1);
  Sizes send_sizes(last + 1, 0);
  Sizes receive_sizes(last + 1, 0);
  if (group.rank() == 0) send_sizes[last] = sent;
  if (static_cast<std::size_t>(group.rank()) == last) receive_sizes[0] = expected;
  const std::vector<std::byte> send(static_cast<std::size_t>(group.rank() == 0 ? sent : 0));
  std::vector<std::byte> receive(static_cast<std::size_t>(receive_sizes[0]));
  try {
    group.all_to_all_v({send, send_sizes}, {receive, receive_sizes});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    return error.what();
  }
  return {};
}

TEST(MpiSizes, AMismatchIsNamedByTheReceiver) {
  on_every_group([](Communicator& whole) {
    if (whole.size() < 2) return;
    for (const auto& [sent, expected] :
         {std::pair{3, 5}, std::pair{5, 3}, std::pair{0, 4}, std::pair{4, 0}}) {
      now_in("sizes that do not match");
      const auto group = whole.split(0, 0);
      const std::string message = mismatch(*group, sent, expected);
      if (group->rank() == group->size() - 1) {
        EXPECT_THAT(message, AllOf(HasSubstr("all_to_all_v"), HasSubstr("rank 0"),
                                   HasSubstr(std::to_string(expected))));
      } else {
        EXPECT_EQ(message, "");
      }
      whole.barrier();
    }
  });
}

}  // namespace
}  // namespace troupe::comm::testing
