#include "tensor/device/device_accelerator.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "tensor/cuda/runtime.h"

namespace troupe::device {
namespace {

constexpr std::size_t kArrivingBytes = std::size_t{4} << 20;
constexpr std::size_t kUploadBytes = std::size_t{4} << 20;  // at once, through the pinned ring
constexpr std::size_t kAlignment = 64;

}  // namespace

DeviceAccelerator::DeviceAccelerator(int index)
    : device_(index), arriving_(MemoryKind::kPinned, kArrivingBytes), ops_(*this, device_) {}

DeviceAccelerator::DeviceAccelerator(int index, WithCublasLt /*tag*/) : DeviceAccelerator(index) {
  ops_.use_cublaslt();
}

DeviceAccelerator::~DeviceAccelerator() {
  try {
    synchronize();
  } catch (const std::exception& error) {
    log::error("{}", error.what());
  }
}

std::int64_t DeviceAccelerator::free_bytes() const { return cuda::runtime::free_bytes(); }

std::byte* DeviceAccelerator::allocate(std::size_t bytes) {
  return static_cast<std::byte*>(cuda::runtime::allocate(std::max<std::size_t>(bytes, 1)));
}

void DeviceAccelerator::release(std::byte* memory) noexcept {
  try {
    synchronize();
  } catch (const std::exception& error) {
    log::error("{}", error.what());
  }
  cuda::runtime::release(memory);
}

void DeviceAccelerator::upload(std::span<const std::byte> source, std::byte* target) {
  for (std::size_t begin = 0; begin < source.size(); begin += kUploadBytes) {
    device_.pinned().upload(device_.compute(), target + begin,
                            source.subspan(begin, std::min(kUploadBytes, source.size() - begin)));
  }
}

void DeviceAccelerator::download(const std::byte* source, std::span<std::byte> target) {
  if (target.empty()) return;
  if (target.size() <= kArrivingBytes) {
    start_download(source, target);
    return finish_downloads();
  }
  device_.compute().copy(target.data(), source, target.size());
  synchronize();
}

void DeviceAccelerator::start_download(const std::byte* source, std::span<std::byte> target) {
  if (target.empty()) return;
  if (target.size() > kArrivingBytes) return download(source, target);
  if (arriving_end_ + target.size() > kArrivingBytes) finish_downloads();
  device_.compute().copy(static_cast<std::byte*>(arriving_.data()) + arriving_end_, source, target.size());
  downloads_.push_back({arriving_end_, target});
  arriving_end_ += (target.size() + kAlignment - 1) / kAlignment * kAlignment;
}

void DeviceAccelerator::finish_downloads() {
  synchronize();
  for (const Download& download : downloads_) {
    std::memcpy(download.target.data(), static_cast<const std::byte*>(arriving_.data()) + download.begin,
                download.target.size());
  }
  downloads_.clear();
  arriving_end_ = 0;
}

void DeviceAccelerator::copy(const std::byte* source, std::byte* target, std::size_t bytes) {
  device_.compute().copy(target, source, bytes);
}

void DeviceAccelerator::clear(std::byte* target, std::size_t bytes) {
  device_.compute().clear(target, bytes);
}

}  // namespace troupe::device
