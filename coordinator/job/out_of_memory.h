#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace troupe::coordinator {

/// What makes a run need less memory; for people.
inline constexpr std::string_view kLessMemory =
    "less batch.micro_batch, data.sequence_length or batch.grad_lanes, or a smaller model, needs less; "
    "parallel.recompute: block keeps fewer activations; workers on other machines bring their own";

/// Notices that the kernel killed processes of this machine because memory ran out: nothing else tells such a
/// kill from any other SIGKILL.
class OutOfMemoryWatch {
 public:
  explicit OutOfMemoryWatch(std::filesystem::path vmstat = "/proc/vmstat");

  /// "; the kernel killed …" when it did so since the construction, else nothing: for the end of a message
  /// about a worker that is gone.
  [[nodiscard]] std::string remark() const;

 private:
  [[nodiscard]] std::int64_t kills() const;

  std::filesystem::path vmstat_;
  std::int64_t kills_at_start_;
};

}  // namespace troupe::coordinator
