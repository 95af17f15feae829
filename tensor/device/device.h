#pragma once
#include <cstddef>
#include <string>

#include "tensor/device/memory.h"
#include "tensor/device/queue.h"

namespace troupe::device {

/// What one worker uses of an accelerator: its memory, three queues and a pinned ring. Move-only; used by
/// the thread that made it. The same class over a GPU and over its emulation: a program is linked with one
/// of the two runtimes (tensor/cuda/runtime.h).
class Device {
 public:
  /// Throws kConfig when there is no such device.
  explicit Device(int index = 0);

  [[nodiscard]] static int count();
  [[nodiscard]] std::string name() const;
  [[nodiscard]] Memory allocate(std::size_t bytes) const { return {MemoryKind::kDevice, bytes}; }

  [[nodiscard]] Queue& compute() { return compute_; }
  [[nodiscard]] Queue& communication() { return communication_; }
  [[nodiscard]] Queue& copies() { return copies_; }
  [[nodiscard]] PinnedRing& pinned() { return pinned_; }

 private:
  int index_;
  Queue compute_;
  Queue communication_;
  Queue copies_;
  PinnedRing pinned_;
};

}  // namespace troupe::device
