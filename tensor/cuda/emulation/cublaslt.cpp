// In place of the library, for what is around it.
#include "tensor/cuda/cublaslt.h"

namespace troupe::cuda {

class CublasLt::Library {};

CublasLt::CublasLt() = default;
CublasLt::~CublasLt() = default;
CublasLt::CublasLt(CublasLt&&) noexcept = default;
CublasLt& CublasLt::operator=(CublasLt&&) noexcept = default;

std::string CublasLt::name() { return "no cuBLASLt: emulated"; }

void CublasLt::gemm(Stream stream, const GemmArguments& arguments) { cuda::gemm(stream, arguments); }

}  // namespace troupe::cuda
