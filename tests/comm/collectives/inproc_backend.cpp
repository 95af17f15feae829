#include "tests/comm/collectives/backend.h"
#include "tests/comm/collectives/threads.h"

namespace troupe::comm::testing {

void now_in(std::string_view) {}

void on_every_group(const std::function<void(Communicator&)>& body) {
  for (const int size : {1, 2, 3, 5, 8}) run_ranks_well(size, body);
}

}  // namespace troupe::comm::testing
