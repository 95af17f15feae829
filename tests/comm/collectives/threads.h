#pragma once
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "comm/collectives/inproc/inproc_communicator.h"

namespace troupe::comm::testing {

/// Runs body on `size` threads, each owning one rank, and returns what each of them threw.
inline std::vector<std::exception_ptr> run_ranks(int size, const std::function<void(Communicator&)>& body) {
  auto communicators = make_inproc_group(size);
  std::vector<std::exception_ptr> thrown(communicators.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < communicators.size(); ++rank) {
    threads.emplace_back([&body, &slot = thrown[rank], mine = std::move(communicators[rank])]() mutable {
      try {
        const auto communicator = std::move(mine);  // leaves the group when body throws
        body(*communicator);
      } catch (...) {
        slot = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return thrown;
}

/// As run_ranks, for bodies that must not throw.
inline void run_ranks_well(int size, const std::function<void(Communicator&)>& body) {
  for (const auto& thrown : run_ranks(size, body))
    if (thrown) std::rethrow_exception(thrown);
}

}  // namespace troupe::comm::testing
