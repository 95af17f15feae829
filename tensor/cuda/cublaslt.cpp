#include "tensor/cuda/cublaslt.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace troupe::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // as cuBLAS itself takes on Hopper
constexpr std::uint32_t kAligned = 16;                          // bytes; what its fast kernels ask for
constexpr std::uint32_t kUnaligned = 4;
constexpr int kAlgorithms = 16;  // to choose from

/// The functions of the library that are called; found once in a process, which then keeps them.
struct Functions {
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) create_product;
  decltype(&cublasLtMatmulDescDestroy) destroy_product;
  decltype(&cublasLtMatmulDescSetAttribute) set_product;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find_algorithms;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) get_algorithm;
  decltype(&cublasLtMatmul) product;
};

template <class Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw Error(ErrorCode::kConfig, "parallel.gemm: {} has no {}", "cuBLASLt", name);
}

Functions load() {
  const std::string name = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(ErrorCode::kConfig,
                "parallel.gemm: cublaslt needs {}, which is part of the CUDA toolkit: {}; set "
                "LD_LIBRARY_PATH to its folder, or parallel.gemm: own",
                name, dlerror());
  }
  Functions f{};
  find(library, "cublasLtGetVersion", f.version);
  find(library, "cublasLtGetStatusString", f.status_string);
  find(library, "cublasLtCreate", f.create);
  find(library, "cublasLtDestroy", f.destroy);
  find(library, "cublasLtMatmulDescCreate", f.create_product);
  find(library, "cublasLtMatmulDescDestroy", f.destroy_product);
  find(library, "cublasLtMatmulDescSetAttribute", f.set_product);
  find(library, "cublasLtMatrixLayoutCreate", f.create_layout);
  find(library, "cublasLtMatrixLayoutDestroy", f.destroy_layout);
  find(library, "cublasLtMatmulPreferenceCreate", f.create_preference);
  find(library, "cublasLtMatmulPreferenceDestroy", f.destroy_preference);
  find(library, "cublasLtMatmulPreferenceSetAttribute", f.set_preference);
  find(library, "cublasLtMatmulAlgoGetHeuristic", f.find_algorithms);
  find(library, "cublasLtMatmulAlgoConfigGetAttribute", f.get_algorithm);
  find(library, "cublasLtMatmul", f.product);
  return f;
}

const Functions& functions() {
  static const Functions found = load();
  return found;
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorCode::kInternal, "{} failed: {}", call, functions().status_string(status));
}
void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess)
    throw Error(ErrorCode::kInternal, "{} failed: {}", call, cudaGetErrorString(status));
}

/// A handle of the library, destroyed by `destroy`.
template <class T>
using Handle = std::unique_ptr<std::remove_pointer_t<T>, cublasStatus_t (*)(T)>;

using Product = Handle<cublasLtMatmulDesc_t>;
using Layout = Handle<cublasLtMatrixLayout_t>;
using Preference = Handle<cublasLtMatmulPreference_t>;

Layout make_layout(std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(functions().create_layout(&layout, CUDA_R_32F, static_cast<std::uint64_t>(rows),
                                  static_cast<std::uint64_t>(columns), stride),
        "cublasLtMatrixLayoutCreate");
  return {layout, functions().destroy_layout};
}

template <class Value>
void set(const Product& product, cublasLtMatmulDescAttributes_t attribute, const Value& value) {
  check(functions().set_product(product.get(), attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
}
template <class Value>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const Value& value) {
  check(functions().set_preference(preference.get(), attribute, &value, sizeof value),
        "cublasLtMatmulPreferenceSetAttribute");
}

Product make_product(bool transpose_first, bool transpose_second, std::int32_t multiprocessors) {
  cublasLtMatmulDesc_t raw = nullptr;
  check(functions().create_product(&raw, CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  Product product{raw, functions().destroy_product};
  set(product, CUBLASLT_MATMUL_DESC_TRANSA, transpose_first ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(product, CUBLASLT_MATMUL_DESC_TRANSB, transpose_second ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(product, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, multiprocessors);
  return product;
}

Preference make_preference(std::uint32_t alignment) {
  cublasLtMatmulPreference_t raw = nullptr;
  check(functions().create_preference(&raw), "cublasLtMatmulPreferenceCreate");
  Preference preference{raw, functions().destroy_preference};
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(preference, attribute, alignment);
  return preference;
}

bool splits_k(const cublasLtMatmulAlgo_t& algorithm) {
  std::int32_t parts = 0;
  std::size_t written = 0;
  check(
      functions().get_algorithm(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &written),
      "cublasLtMatmulAlgoConfigGetAttribute");
  return parts > 1;
}

template <class T>
bool aligned(const Matrix<T>& matrix) {
  return reinterpret_cast<std::uintptr_t>(matrix.data) % kAligned == 0 &&
         matrix.stride * static_cast<std::int64_t>(sizeof(T)) % kAligned == 0;
}

/// All that an algorithm is chosen by.
using Shape = std::tuple<bool, bool, bool, bool, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         std::int64_t, std::int64_t>;

/// A product of one shape as the library is told it. It knows columns first: c = a b by rows is cᵀ = bᵀ aᵀ
/// by columns, so the operands change places.
struct Frozen {
  Product product;
  Layout first, second, result;
  cublasLtMatmulAlgo_t algorithm;
};

}  // namespace

class CublasLt::Library {
 public:
  Library() : handle_(make_handle()) {
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    check(cudaMalloc(&workspace_, kWorkspaceBytes), "cudaMalloc");
  }
  ~Library() { (void)cudaFree(workspace_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void gemm(Stream stream, const GemmArguments& arguments) {
    const Frozen& frozen = frozen_for(arguments);
    const float one = 1.0F;
    const float kept = arguments.accumulate ? 1.0F : 0.0F;
    check(functions().product(handle_.get(), frozen.product.get(), &one, arguments.b.data, frozen.first.get(),
                              arguments.a.data, frozen.second.get(), &kept, arguments.c.data,
                              frozen.result.get(), arguments.c.data, frozen.result.get(), &frozen.algorithm,
                              workspace_, kWorkspaceBytes, static_cast<cudaStream_t>(stream.handle)),
          "cublasLtMatmul");
  }

 private:
  static Handle<cublasLtHandle_t> make_handle() {
    cublasLtHandle_t handle = nullptr;
    check(functions().create(&handle), "cublasLtCreate");
    return {handle, functions().destroy};
  }

  const Frozen& frozen_for(const GemmArguments& arguments) {
    const auto& [transpose_a, transpose_b, accumulate, a, b, c] = arguments;
    const bool all_aligned = aligned(a) && aligned(b) && aligned(c);
    const std::int64_t k = transpose_a ? a.rows : a.columns;
    const Shape shape{transpose_a, transpose_b, accumulate, all_aligned, c.rows,
                      c.columns,   k,           a.stride,   b.stride,    c.stride};
    const auto found = frozen_.find(shape);
    if (found != frozen_.end()) return found->second;
    return frozen_.emplace(shape, freeze(arguments, all_aligned ? kAligned : kUnaligned)).first->second;
  }

  [[nodiscard]] Frozen freeze(const GemmArguments& arguments, std::uint32_t alignment) const {
    const auto& [transpose_a, transpose_b, accumulate, a, b, c] = arguments;
    Frozen frozen{.product = make_product(transpose_b, transpose_a, multiprocessors_),
                  .first = make_layout(b.columns, b.rows, b.stride),
                  .second = make_layout(a.columns, a.rows, a.stride),
                  .result = make_layout(c.columns, c.rows, c.stride),
                  .algorithm = {}};
    const Preference preference = make_preference(alignment);
    std::array<cublasLtMatmulHeuristicResult_t, kAlgorithms> results{};
    int count = 0;
    check(functions().find_algorithms(handle_.get(), frozen.product.get(), frozen.first.get(),
                                      frozen.second.get(), frozen.result.get(), frozen.result.get(),
                                      preference.get(), kAlgorithms, results.data(), &count),
          "cublasLtMatmulAlgoGetHeuristic");
    for (int i = 0; i < count; ++i) {
      const auto& result = results[static_cast<std::size_t>(i)];
      if (result.state != CUBLAS_STATUS_SUCCESS || splits_k(result.algo)) continue;
      frozen.algorithm = result.algo;
      return frozen;
    }
    throw Error(ErrorCode::kInternal,
                "cuBLASLt has no algorithm without split sums for [{}, {}] by rows of {} and {}; set "
                "parallel.gemm: own",
                c.rows, c.columns, a.stride, b.stride);
  }

  Handle<cublasLtHandle_t> handle_;
  int multiprocessors_ = 0;
  void* workspace_ = nullptr;
  std::map<Shape, Frozen> frozen_;
};

CublasLt::CublasLt() : library_(std::make_unique<Library>()) {}
CublasLt::~CublasLt() = default;
CublasLt::CublasLt(CublasLt&&) noexcept = default;
CublasLt& CublasLt::operator=(CublasLt&&) noexcept = default;

std::string CublasLt::name() {
  const std::size_t version = functions().version();
  return fmt::format("cuBLASLt {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

void CublasLt::gemm(Stream stream, const GemmArguments& arguments) {
  const std::int64_t k = arguments.transpose_a ? arguments.a.rows : arguments.a.columns;
  if (arguments.c.rows == 0 || arguments.c.columns == 0 || k == 0)
    return cuda::gemm(stream, arguments);  // the library refuses sizes of zero
  library_->gemm(stream, arguments);
}

}  // namespace troupe::cuda
