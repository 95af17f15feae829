#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "cli/description/run_description.h"

namespace troupe::cli {

/// Bytes. Of this machine, or of the control group that this process may use.
struct MachineMemory {
  std::int64_t total = 0;      // with swap
  std::int64_t available = 0;  // without taking it from other programs
};

/// root: "/", or a copy of its proc and sys for tests. What the system does not say counts as endless.
[[nodiscard]] MachineMemory machine_memory(const std::filesystem::path& root = "/");

/// What `workers` processes on one machine need, beside what it has: empty when it is enough, else a warning
/// with what to reduce. Throws kConfig when the state alone, which every step needs, is more than there is at
/// all.
[[nodiscard]] std::string check_memory(const workers::TrainingMemory& worker, std::int64_t workers,
                                       const MachineMemory& machine);

}  // namespace troupe::cli
