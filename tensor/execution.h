#pragma once

namespace troupe {

class Profile;

/// How an op may use the machine. Passed to every op; never changes a bit of a result.
struct Execution {
  int threads = 1;             // OpenMP threads of this worker
  Profile* profile = nullptr;  // told what time goes to; may be null
};

}  // namespace troupe
