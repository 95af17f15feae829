#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/device_kind.h"
#include "base/fields.h"

namespace troupe::layout {

/// `batch`: part of the run's meaning; changing it changes bits.
struct BatchOptions {
  std::int64_t sequences = 16;    // global batch: accumulation steps * grad_lanes * micro_batch
  std::int64_t micro_batch = 2;   // sequences computed at once
  std::int64_t grad_lanes = 8;    // S: the largest number of workers
  std::int64_t expert_lanes = 1;  // X: the largest number of replicas of an expert
};

enum class Backend { kMpi, kInproc };
inline constexpr std::array<std::string_view, 2> kBackendNames{"mpi", "inproc"};
inline constexpr std::array<std::string_view, 2> kDeviceNames{"cpu", "cuda"};  // of DeviceKind
enum class Gemm { kOwn, kCublasLt };
inline constexpr std::array<std::string_view, 2> kGemmNames{"own", "cublaslt"};
enum class PlacementKind { kContiguous, kBalanced };
inline constexpr std::array<std::string_view, 2> kPlacementNames{"contiguous", "balanced"};

enum class Recompute { kNone, kBlock };
inline constexpr std::array<std::string_view, 2> kRecomputeNames{"none", "block"};
enum class DispatchType { kF32, kBf16 };
inline constexpr std::array<std::string_view, 2> kDispatchTypeNames{"f32", "bf16"};

/// `parallel.dispatch`: how tokens travel. Only dtype changes bits.
struct DispatchOptions {
  std::int64_t max_bytes = 0;         // received at once by a worker in one layer; 0: everything
  bool hierarchical = false;          // inside a node first, then between nodes
  std::int64_t workers_per_node = 0;  // of the hierarchical exchange; 0: as the machines are
  DispatchType dtype = DispatchType::kF32;
};

/// `parallel`: where a run is computed; never changes bits, but for dispatch.dtype, device and gemm.
struct ParallelOptions {
  std::optional<std::int64_t> workers;          // auto: most workers <= cores that the rules allow
  std::optional<std::int64_t> expert_parallel;  // auto: workers
  std::int64_t threads = 1;                     // per worker
  Backend backend = Backend::kMpi;
  DeviceKind device = DeviceKind::kCpu;
  Gemm gemm = Gemm::kOwn;  // dense products of device: cuda
  Recompute recompute = Recompute::kNone;
  std::optional<std::int64_t> hold_microbatches;  // auto: as many as fit into half of the free memory
  DispatchOptions dispatch;
  PlacementKind placement = PlacementKind::kContiguous;
  std::int64_t placement_every = 100;  // steps between moves of `balanced`
};

void describe(Fields& fields, BatchOptions& options);
void describe(Fields& fields, DispatchOptions& options);
void describe(Fields& fields, ParallelOptions& options);

}  // namespace troupe::layout
