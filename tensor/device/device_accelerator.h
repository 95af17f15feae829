#pragma once
#include <vector>

#include "tensor/accelerator.h"
#include "tensor/device/device.h"
#include "tensor/device/kernel_ops.h"

namespace troupe::device {

/// An accelerator over a Device: everything goes to its compute queue.
class DeviceAccelerator final : public Accelerator {
 public:
  explicit DeviceAccelerator(int index);
  /// Dense products by cuBLASLt.
  struct WithCublasLt {};
  DeviceAccelerator(int index, WithCublasLt /*tag*/);
  ~DeviceAccelerator() override;

  [[nodiscard]] std::string name() const override { return device_.name(); }
  [[nodiscard]] std::int64_t free_bytes() const override;
  [[nodiscard]] std::byte* allocate(std::size_t bytes) override;
  void release(std::byte* memory) noexcept override;
  void upload(std::span<const std::byte> source, std::byte* target) override;
  void download(const std::byte* source, std::span<std::byte> target) override;
  void start_download(const std::byte* source, std::span<std::byte> target) override;
  void finish_downloads() override;
  void copy(const std::byte* source, std::byte* target, std::size_t bytes) override;
  void clear(std::byte* target, std::size_t bytes) override;
  void synchronize() override { device_.compute().synchronize(); }
  [[nodiscard]] ops::DeviceOps& ops() override { return ops_; }

 private:
  struct Download {
    std::size_t begin;  // in arriving_
    std::span<std::byte> target;
  };

  Device device_;
  Memory arriving_;  // pinned
  std::size_t arriving_end_ = 0;
  std::vector<Download> downloads_;
  KernelOps ops_;
};

}  // namespace troupe::device
