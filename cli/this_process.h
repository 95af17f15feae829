#pragma once
#include <string>

namespace troupe::cli {

/// Cores that this process may run on.
[[nodiscard]] int available_cores();
/// Cores of this machine, hardware threads of one counted once; 0 when this process may not run on all of
/// them, or the system does not say.
[[nodiscard]] int whole_cores();

[[nodiscard]] bool runs_as_root();
/// Absolute.
[[nodiscard]] std::string program_path();

}  // namespace troupe::cli
