#include "tests/performance/allocation_counter.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> counting = false;
std::atomic<std::int64_t> allocations = 0;
std::atomic<std::int64_t> allocated_bytes = 0;

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (counting) {
    ++allocations;
    allocated_bytes += static_cast<std::int64_t>(bytes);
  }
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace troupe::test {

AllocationCounter::AllocationCounter() {
  allocations = allocated_bytes = 0;
  counting = true;
}
AllocationCounter::~AllocationCounter() { counting = false; }
std::int64_t AllocationCounter::count() const { return allocations; }
std::int64_t AllocationCounter::bytes() const { return allocated_bytes; }

}  // namespace troupe::test
