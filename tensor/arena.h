#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/index.h"
#include "tensor/tensor.h"

namespace troupe {

/// Activation memory: address space for the worst case is reserved once, pages are committed when
/// first touched, allocation moves a pointer. Nothing is freed one by one: take a Mark and go back
/// to it, or reset() once per microbatch. Memory is not zeroed. Not thread-safe.
class Arena {
 public:
  /// Reserves address space; throws kIo when the system refuses.
  explicit Arena(std::size_t reserve_bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialised, aligned to kTensorAlignment; throws kInternal naming the sizes when the
  /// reservation is too small.
  [[nodiscard]] TensorView allocate(const Shape& shape, DType dtype = DType::kF32);

  /// The same for values of another type, which needs no destruction.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::span<T> allocate_array(std::int64_t count) {
    static_assert(alignof(T) <= kTensorAlignment);
    const auto bytes = at(count) * sizeof(T);
    return {reinterpret_cast<T*>(take(bytes)), at(count)};
  }

  struct Mark {
    std::size_t used;
  };
  [[nodiscard]] Mark mark() const { return {used_}; }
  void release_to(Mark mark) { used_ = mark.used; }
  void reset() { used_ = 0; }
  [[nodiscard]] std::size_t peak_bytes() const { return peak_; }

 private:
  [[nodiscard]] std::byte* take(std::size_t bytes);

  std::byte* base_ = nullptr;
  std::size_t reserved_ = 0;
  std::size_t used_ = 0;
  std::size_t peak_ = 0;
};

/// Gives back to an arena, at the end of a scope, what was allocated inside it.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release_to(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace troupe
