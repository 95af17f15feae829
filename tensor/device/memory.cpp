#include "tensor/device/memory.h"

#include <cstring>
#include <utility>

#include "base/error.h"
#include "tensor/cuda/runtime.h"

namespace troupe::device {

namespace runtime = cuda::runtime;

Memory::Memory(MemoryKind kind, std::size_t bytes)
    : kind_(kind),
      data_(kind == MemoryKind::kDevice ? runtime::allocate(bytes) : runtime::allocate_pinned(bytes)),
      bytes_(bytes) {}

Memory::~Memory() {
  if (data_ == nullptr) return;
  kind_ == MemoryKind::kDevice ? runtime::release(data_) : runtime::release_pinned(data_);
}

Memory::Memory(Memory&& other) noexcept
    : kind_(other.kind_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(kind_, other.kind_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedRing::PinnedRing(std::size_t bytes) : memory_(MemoryKind::kPinned, bytes) {}

std::span<std::byte> PinnedRing::take(std::size_t bytes) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  TROUPE_CHECK(size <= memory_.bytes(), "{} bytes from a ring of {}", bytes, memory_.bytes());
  begin_ = end_ + size <= memory_.bytes() ? end_ : 0;
  end_ = begin_ + size;
  const auto overlaps = [&](const Use& use) { return use.begin < end_ && begin_ < use.end; };
  while (!uses_.empty() && (overlaps(uses_.front()) || uses_.front().done.happened())) {
    uses_.front().done.wait();
    uses_.pop_front();
  }
  return {static_cast<std::byte*>(memory_.data()) + begin_, bytes};
}

void PinnedRing::hand_over(Queue& queue) {
  uses_.push_back({begin_, end_, Event()});
  queue.record(uses_.back().done);
}

void PinnedRing::upload(Queue& queue, void* target, std::span<const std::byte> source) {
  if (source.empty()) return;
  const auto staged = take(source.size());
  std::memcpy(staged.data(), source.data(), source.size());
  queue.copy(target, staged.data(), source.size());
  hand_over(queue);
}

}  // namespace troupe::device
