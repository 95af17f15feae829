#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace troupe {

namespace ops {
class DeviceOps;
}

/// A device beside the host, as tensors and ops need it: memory, copies, and every op that a model is made
/// of. Abstract, so that nothing above knows what the device is; tensor/device/ implements it over a GPU and
/// over the emulation of one. One per worker. Copies and ops are queued in the order of the calls and run
/// beside the host, which waits where it says so. Used by one thread at a time.
class Accelerator {
 public:
  Accelerator() = default;
  virtual ~Accelerator() = default;
  Accelerator(const Accelerator&) = delete;
  Accelerator& operator=(const Accelerator&) = delete;

  /// "NVIDIA H100 80GB HBM3, …"
  [[nodiscard]] virtual std::string name() const = 0;

  /// Memory that can still be allocated.
  [[nodiscard]] virtual std::int64_t free_bytes() const = 0;
  /// Device memory, aligned to kTensorAlignment, not initialised. Throws kConfig when there is not enough.
  [[nodiscard]] virtual std::byte* allocate(std::size_t bytes) = 0;
  /// All that was queued before runs first.
  virtual void release(std::byte* memory) noexcept = 0;

  /// Host to device; the source may change at once.
  virtual void upload(std::span<const std::byte> source, std::byte* target) = 0;
  /// Device to host; waits until it is there.
  virtual void download(const std::byte* source, std::span<std::byte> target) = 0;
  /// Device to host; the target is filled by the next finish_downloads(). A few KiB at a time.
  virtual void start_download(const std::byte* source, std::span<std::byte> target) = 0;
  virtual void finish_downloads() = 0;
  /// Device to device.
  virtual void copy(const std::byte* source, std::byte* target, std::size_t bytes) = 0;
  /// Fills with zero bytes.
  virtual void clear(std::byte* target, std::size_t bytes) = 0;
  /// Waits until all that was queued has run.
  virtual void synchronize() = 0;

  [[nodiscard]] virtual ops::DeviceOps& ops() = 0;
};

}  // namespace troupe
