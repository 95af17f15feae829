#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

/// What a device does for its host, as plain calls on opaque handles. Implemented twice, and a program is
/// linked with one of the two: runtime_cuda.cpp over the CUDA runtime, emulation/runtime.cpp over the
/// emulation. Ownership is in tensor/device/. Every failure throws kInternal (kConfig without a device),
/// naming the call.
namespace troupe::cuda::runtime {

/// Devices that kernels can run on; 0 without a driver or a card.
[[nodiscard]] int device_count();
/// "NVIDIA H100 80GB HBM3, 132 multiprocessors, compute capability 9.0, driver 13.0"
[[nodiscard]] std::string device_name(int device);
/// 90 for 9.0; 0 in the emulation.
[[nodiscard]] int compute_capability(int device);
/// Makes it this thread's device.
void use_device(int device);

/// Of this thread's device.
[[nodiscard]] std::int64_t free_bytes();
/// Device memory, aligned to 256 bytes, not initialised. Throws kConfig when there is not enough.
[[nodiscard]] void* allocate(std::size_t bytes);
void release(void* memory) noexcept;
/// Host memory that copies run beside.
[[nodiscard]] void* allocate_pinned(std::size_t bytes);
void release_pinned(void* memory) noexcept;

/// A queue of copies and kernels, which run in order and beside those of other queues.
[[nodiscard]] void* create_queue();
void destroy_queue(void* queue) noexcept;
/// Returns when all that was queued has run.
void synchronize(void* queue);

/// Queues a copy between any two memories; host memory must stay untouched until it has run.
void copy(void* queue, void* target, const void* source, std::size_t bytes);
/// Queues filling with zero bytes.
void clear(void* queue, void* target, std::size_t bytes);

[[nodiscard]] void* create_event();
void destroy_event(void* event) noexcept;
/// The event happens when all that is in the queue by now has run.
void record(void* event, void* queue);
/// What is queued from now on waits for the event.
void wait(void* queue, void* event);
/// Whether it has happened.
[[nodiscard]] bool happened(void* event);
/// The host waits until it has happened.
void wait_for(void* event);
/// Seconds between two events that have happened; 0 in the emulation.
[[nodiscard]] double seconds_between(void* first, void* second);

}  // namespace troupe::cuda::runtime
