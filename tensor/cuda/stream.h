#pragma once

namespace troupe::cuda {

/// Where a kernel runs: a queue of the runtime that the program was linked with.
struct Stream {
  void* handle = nullptr;
};

}  // namespace troupe::cuda
