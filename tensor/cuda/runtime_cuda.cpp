#include <cuda_runtime_api.h>

#include "base/error.h"
#include "tensor/cuda/runtime.h"

namespace troupe::cuda {
namespace {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  throw Error(ErrorCode::kInternal, "{} failed: {} ({})", call, cudaGetErrorString(status),
              cudaGetErrorName(status));
}

cudaStream_t stream(void* queue) { return static_cast<cudaStream_t>(queue); }
cudaEvent_t cuda_event(void* event) { return static_cast<cudaEvent_t>(event); }

}  // namespace

void check_launch(const char* kernel) {
  const cudaError_t status = cudaGetLastError();
  if (status == cudaSuccess) return;
  throw Error(ErrorCode::kInternal, "launch of kernel {} failed: {} ({})", kernel, cudaGetErrorString(status),
              cudaGetErrorName(status));
}

namespace runtime {

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  (void)cudaGetLastError();  // the refusal must not show up in the next call
  return 0;
}

std::string device_name(int device) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  return fmt::format("{}, {} multiprocessors, compute capability {}.{}, driver for CUDA {}.{}",
                     properties.name, properties.multiProcessorCount, properties.major, properties.minor,
                     driver / 1000, driver % 1000 / 10);
}

int compute_capability(int device) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return 10 * properties.major + properties.minor;
}

void use_device(int device) {
  if (device_count() == 0) {
    throw Error(
        ErrorCode::kConfig,
        "parallel.device: cuda needs a GPU, and CUDA finds none: nvidia-smi must list a card here, and its "
        "driver must be for this CUDA or a later one");
  }
  check(cudaSetDevice(device), "cudaSetDevice");
}

std::int64_t free_bytes() {
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<std::int64_t>(free);
}

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    throw Error(ErrorCode::kConfig,
                "the GPU's memory does not suffice: {} bytes are needed at once, {} are free; try a smaller "
                "batch.micro_batch, parallel.recompute: block, or more workers on more GPUs",
                bytes, free_bytes());
  }
  check(status, "cudaMalloc");
  return memory;
}
void release(void* memory) noexcept { (void)cudaFree(memory); }

void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "cudaHostAlloc");
  return memory;
}
void release_pinned(void* memory) noexcept { (void)cudaFreeHost(memory); }

void* create_queue() {
  cudaStream_t created = nullptr;
  check(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "cudaStreamCreate");
  return created;
}
void destroy_queue(void* queue) noexcept { (void)cudaStreamDestroy(stream(queue)); }
void synchronize(void* queue) { check(cudaStreamSynchronize(stream(queue)), "cudaStreamSynchronize"); }

void copy(void* queue, void* target, const void* source, std::size_t bytes) {
  check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, stream(queue)), "cudaMemcpyAsync");
}
void clear(void* queue, void* target, std::size_t bytes) {
  check(cudaMemsetAsync(target, 0, bytes, stream(queue)), "cudaMemsetAsync");
}

void* create_event() {
  cudaEvent_t created = nullptr;
  check(cudaEventCreate(&created), "cudaEventCreate");
  return created;
}
void destroy_event(void* event) noexcept { (void)cudaEventDestroy(cuda_event(event)); }
void record(void* event, void* queue) {
  check(cudaEventRecord(cuda_event(event), stream(queue)), "cudaEventRecord");
}
void wait(void* queue, void* event) {
  check(cudaStreamWaitEvent(stream(queue), cuda_event(event), 0), "cudaStreamWaitEvent");
}

bool happened(void* event) {
  const cudaError_t status = cudaEventQuery(cuda_event(event));
  if (status == cudaErrorNotReady) return false;
  check(status, "cudaEventQuery");
  return true;
}

void wait_for(void* event) { check(cudaEventSynchronize(cuda_event(event)), "cudaEventSynchronize"); }

double seconds_between(void* first, void* second) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, cuda_event(first), cuda_event(second)), "cudaEventElapsedTime");
  return milliseconds * 1e-3;
}

}  // namespace runtime
}  // namespace troupe::cuda
