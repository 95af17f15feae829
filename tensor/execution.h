#pragma once

namespace troupe {

/// How an op may use the machine. Passed to every op; never changes a bit of a result.
struct Execution {
  int threads = 1;  // OpenMP threads of this worker
};

}  // namespace troupe
