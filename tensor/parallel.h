#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

#include "tensor/execution.h"

namespace troupe {

/// Calls body(i) for i in [0, count), split over the threads of `execution`. Which thread gets
/// which i is unspecified, so body must write only what belongs to i. oneDNN called from body
/// uses one thread, always (docs/architecture.md, "Layout invariance", rule 5). Inside another
/// parallel_for it runs on the calling thread. The first exception is rethrown.
template <class Body>
void parallel_for(const Execution& execution, std::int64_t count, const Body& body) {
  if (execution.threads <= 1 || count <= 1 || omp_in_parallel() != 0) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1) num_threads(execution.threads)
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
#pragma omp critical(troupe_parallel_for)
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

/// Calls body(first, last) for consecutive blocks of [0, count), each of `block` but the last; as
/// parallel_for. For work whose result does not depend on where a block ends.
template <class Body>
void parallel_for_blocks(const Execution& execution, std::int64_t count, std::int64_t block,
                         const Body& body) {
  parallel_for(execution, (count + block - 1) / block,
               [&](std::int64_t i) { body(i * block, std::min(count, (i + 1) * block)); });
}

/// Fixes this thread's number of OpenMP threads at one, so that a library called outside a
/// parallel_for also uses one. Call once at the start of every compute thread.
inline void use_one_library_thread() { omp_set_num_threads(1); }

}  // namespace troupe
