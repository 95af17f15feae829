#pragma once
#include <cstdint>

namespace troupe::test {

/// Counts the calls of operator new, of this program and the libraries that it loads, on all threads,
/// while it lives. One at a time.
class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;
  [[nodiscard]] std::int64_t count() const;
  [[nodiscard]] std::int64_t bytes() const;
  /// Most bytes that were allocated at once, beyond those before.
  [[nodiscard]] std::int64_t peak() const;
};

}  // namespace troupe::test
