#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "tensor/device/queue.h"

namespace troupe::device {

enum class MemoryKind : bool { kDevice, kPinned };

/// Owns a piece of memory, not initialised, aligned to 256 bytes. Move-only. Queues must be done with it
/// when it goes.
class Memory {
 public:
  Memory() = default;
  Memory(MemoryKind kind, std::size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  MemoryKind kind_ = MemoryKind::kDevice;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Pinned host memory for copies, used in turns: what was handed over comes free again when its queue has
/// passed. Move-only; used by one thread.
class PinnedRing {
 public:
  explicit PinnedRing(std::size_t bytes);

  /// Free memory; the host waits for the oldest copies where there is none. Throws kInternal when the ring
  /// is too small. Must be handed over before the next take().
  [[nodiscard]] std::span<std::byte> take(std::size_t bytes);
  /// What was taken last is in use until all that is in the queue by now has run.
  void hand_over(Queue& queue);

  /// Queues a copy of host bytes to the device; the source may change at once.
  void upload(Queue& queue, void* target, std::span<const std::byte> source);

 private:
  struct Use {
    std::size_t begin;
    std::size_t end;
    Event done;
  };
  Memory memory_;
  std::size_t begin_ = 0;  // of what was taken last
  std::size_t end_ = 0;
  std::deque<Use> uses_;  // oldest first
};

}  // namespace troupe::device
