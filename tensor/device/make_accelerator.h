#pragma once
#include <memory>
#include <string>

#include "tensor/accelerator.h"

namespace troupe::device {

/// Devices that an accelerator can be made for; 0 without a driver, a card, or kernels in this build.
[[nodiscard]] int accelerator_count();

/// "NVIDIA H100 80GB HBM3, …". Throws kConfig where there is none.
[[nodiscard]] std::string accelerator_name(int index = 0);

/// What computes dense products: the kernels of tensor/cuda/, or cuBLASLt.
enum class DenseProducts { kOwn, kCublasLt };

/// "cuBLASLt 13.1.0". Throws kConfig where it is not installed.
[[nodiscard]] std::string cublaslt_name();

/// Throws kConfig, saying what is missing, when no worker could compute on a device: kernels in this build,
/// or, unless workers are elsewhere, a card and its driver here, and what make_accelerator() asks for.
void require_accelerator(bool elsewhere = false, DenseProducts products = DenseProducts::kOwn);

/// A worker's device. For the thread that computes. Throws kConfig, saying what is missing, where there is
/// none, where cuBLASLt is not installed, and where it was not verified on this kind of card
/// (tensor/cuda/verified.h).
[[nodiscard]] std::unique_ptr<Accelerator> make_accelerator(int index = 0,
                                                            DenseProducts products = DenseProducts::kOwn);

}  // namespace troupe::device
