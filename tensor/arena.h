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
/// to it, or reset() once per microbatch. Memory is not zeroed. On a device tensors lie in its memory, all of
/// which is taken at once, and arrays on the host. Not thread-safe.
class Arena {
 public:
  /// Reserves address space; throws kIo when the system refuses. The accelerator must outlive it.
  explicit Arena(std::size_t reserve_bytes, Accelerator* accelerator = nullptr);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialised, aligned to kTensorAlignment; throws kInternal naming the sizes when the
  /// reservation is too small.
  [[nodiscard]] TensorView allocate(const Shape& shape, DType dtype = DType::kF32);

  /// The same on the host, for values of another type, which needs no destruction.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::span<T> allocate_array(std::int64_t count) {
    static_assert(alignof(T) <= kTensorAlignment);
    const auto bytes = at(count) * sizeof(T);
    return {reinterpret_cast<T*>(take(arrays(), bytes)), at(count)};
  }

  struct Mark {
    std::size_t tensors;
    std::size_t arrays;
  };
  [[nodiscard]] Mark mark() const { return {tensors_.used, arrays_.used}; }
  void release_to(Mark mark) {
    tensors_.used = mark.tensors;
    arrays_.used = mark.arrays;
  }
  void reset() { release_to({0, 0}); }
  [[nodiscard]] std::size_t peak_bytes() const { return tensors_.peak; }
  /// Whose memory the tensors are in; null: the host's.
  [[nodiscard]] Accelerator* accelerator() const { return accelerator_; }

 private:
  struct Region {
    std::byte* base = nullptr;
    std::size_t reserved = 0;
    std::size_t used = 0;
    std::size_t peak = 0;
  };
  [[nodiscard]] static Region reserve_on_host(std::size_t bytes);
  [[nodiscard]] static std::byte* take(Region& region, std::size_t bytes);
  [[nodiscard]] Region& arrays() { return accelerator_ == nullptr ? tensors_ : arrays_; }

  Accelerator* accelerator_;
  Region tensors_;
  Region arrays_;  // where tensors are not on the host
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
