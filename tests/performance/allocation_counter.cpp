#include "tests/performance/allocation_counter.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> counting = false;
std::atomic<std::int64_t> allocations = 0;
std::atomic<std::int64_t> allocated_bytes = 0;
std::atomic<std::int64_t> live_bytes = 0;  // of what is allocated while counting, less all that is freed
std::atomic<std::int64_t> peak_bytes = 0;

void add_live(std::int64_t bytes) {
  const std::int64_t live = live_bytes += bytes;
  std::int64_t peak = peak_bytes;
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
  }
}

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (counting) {
    ++allocations;
    allocated_bytes += static_cast<std::int64_t>(bytes);
  }
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  if (counting) add_live(static_cast<std::int64_t>(::malloc_usable_size(memory)));
  return memory;
}

void release(void* memory) {
  if (counting && memory != nullptr) add_live(-static_cast<std::int64_t>(::malloc_usable_size(memory)));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

namespace troupe::test {

AllocationCounter::AllocationCounter() {
  allocations = allocated_bytes = live_bytes = peak_bytes = 0;
  counting = true;
}
AllocationCounter::~AllocationCounter() { counting = false; }
std::int64_t AllocationCounter::count() const { return allocations; }
std::int64_t AllocationCounter::bytes() const { return allocated_bytes; }
std::int64_t AllocationCounter::peak() const { return peak_bytes; }

}  // namespace troupe::test
