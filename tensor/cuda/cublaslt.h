#pragma once
#include <memory>
#include <string>

#include "tensor/cuda/gemm.h"
#include "tensor/cuda/stream.h"

namespace troupe::cuda {

/// Dense products by cuBLASLt (fp32, no TF32) instead of by the kernel of gemm.h: the same contract, other
/// bits. The library is loaded when the first one is made, so that nothing else needs it. For each shape it
/// is asked once for an algorithm, of those that do not split k or add up partial sums; the answer depends
/// on the library's version, the card and the shape only, and is kept. In the emulation, which has no
/// cuBLASLt, the kernel of gemm.h stands in.
class CublasLt {
 public:
  /// On this thread's device. Throws kConfig when the library is not installed.
  CublasLt();
  ~CublasLt();
  CublasLt(CublasLt&&) noexcept;
  CublasLt& operator=(CublasLt&&) noexcept;

  /// "cuBLASLt 13.1.0"
  [[nodiscard]] static std::string name();

  /// As cuda::gemm(). Throws kInternal, naming the call and the shape, when the library refuses.
  void gemm(Stream stream, const GemmArguments& arguments);

 private:
  class Library;
  std::unique_ptr<Library> library_;
};

}  // namespace troupe::cuda
