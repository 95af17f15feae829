#pragma once

namespace troupe {

class Accelerator;
class Profile;

/// How an op may use the machine. Passed to every op; threads and profile
/// never change a bit of a result.
struct Execution {
  int threads = 1;                     // OpenMP threads of this worker
  Profile* profile = nullptr;          // told what time goes to; may be null
  Accelerator* accelerator = nullptr;  // where tensors are and ops run; null: on the host
};

}  // namespace troupe
