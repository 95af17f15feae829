#pragma once
#include <exception>
#include <thread>
#include <vector>

#include "comm/collectives/inproc/inproc_communicator.h"

namespace troupe::experts {

/// Calls body(communicator) on `size` threads that form a group; returns what each threw.
template <class Body>
std::vector<std::exception_ptr> on_ranks(int size, const Body& body) {
  auto communicators = comm::make_inproc_group(size);
  std::vector<std::exception_ptr> failures(communicators.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < communicators.size(); ++rank) {
    threads.emplace_back([&, rank, communicator = std::move(communicators[rank])] {
      try {
        body(*communicator);
      } catch (...) {
        failures[rank] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return failures;
}

}  // namespace troupe::experts
