#pragma once
#include <cstddef>

#include "tensor/cuda/stream.h"

namespace troupe::device {

class Queue;

/// A point in a queue. Move-only.
class Event {
 public:
  Event();
  ~Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;

  /// Whether all that was queued before it has run; true when it was never recorded.
  [[nodiscard]] bool happened() const;
  /// The host waits for it.
  void wait() const;
  /// Both must have happened.
  [[nodiscard]] double seconds_since(const Event& earlier) const;

 private:
  friend class Queue;
  void* handle_;
};

/// Kernels and copies that run one after the other, beside those of other queues and beside the host.
/// Move-only; used by one thread. The destructor lets what is queued run.
class Queue {
 public:
  Queue();
  ~Queue();
  Queue(Queue&& other) noexcept;
  Queue& operator=(Queue&& other) noexcept;

  /// Between any two memories. Host memory must stay as it is until the copy has run.
  void copy(void* target, const void* source, std::size_t bytes);
  /// Fills with zero bytes.
  void clear(void* target, std::size_t bytes);
  void record(Event& event);
  /// What is queued from now on runs after the event.
  void wait(const Event& event);
  /// The host waits until all has run.
  void synchronize();
  /// For launches of kernels (tensor/cuda).
  [[nodiscard]] cuda::Stream stream() const { return {handle_}; }

 private:
  void* handle_;
};

}  // namespace troupe::device
