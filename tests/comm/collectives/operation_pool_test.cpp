#include "comm/collectives/operation_pool.h"

#include <gtest/gtest.h>

namespace troupe::comm::detail {
namespace {

struct Operation {
  explicit Operation(bool starts_complete) : is_complete(starts_complete) {}
  [[nodiscard]] bool complete() const { return is_complete; }
  bool is_complete;
};

TEST(OperationPool, GivesOutACompleteOperationAgain) {
  OperationPool<Operation> pool;
  Operation& first = pool.idle(true);
  EXPECT_EQ(&pool.idle(true), &first);
}

TEST(OperationPool, NeverGivesOutOneThatIsUnderWay) {
  OperationPool<Operation> pool;
  Operation& first = pool.idle(true);
  first.is_complete = false;
  Operation& second = pool.idle(true);
  EXPECT_NE(&second, &first);
  second.is_complete = false;
  first.is_complete = true;
  EXPECT_EQ(&pool.idle(true), &first);
}

}  // namespace
}  // namespace troupe::comm::detail
