#include "layout/options.h"

namespace troupe::layout {

void describe(Fields& fields, BatchOptions& options) {
  fields.integer("sequences", options.sequences, {1, 1 << 30},
                 "Sequences of a global batch: accumulation steps x grad_lanes x micro_batch");
  fields.integer("micro_batch", options.micro_batch, {1, 1 << 16},
                 "Sequences computed at once; part of the run's meaning");
  fields.integer("grad_lanes", options.grad_lanes, {1, 1 << 16},
                 "Lanes that gradients are added in: the largest number of workers");
  fields.integer("expert_lanes", options.expert_lanes, {1, 1 << 16},
                 "Lanes of the experts' gradients: the largest number of replicas of an expert");
}

void describe(Fields& fields, DispatchOptions& options) {
  fields.integer(
      "max_bytes", options.max_bytes, kNonNegative,
      "Bytes of tokens that a worker receives at once in a layer; more come in chunks of whole segments; 0: "
      "no limit");
  fields.flag("hierarchical", options.hierarchical, "Exchange inside a host first, then between hosts");
  fields.integer("workers_per_node", options.workers_per_node, kNonNegative,
                 "Workers that the hierarchical exchange takes as one host; 0: as the machines are");
  fields.choice(
      "dtype", options.dtype, kDispatchTypeNames,
      "What tokens travel as; bf16 halves the bytes and rounds, so it is part of the run's meaning");
}

void describe(Fields& fields, ParallelOptions& options) {
  fields.optional_integer("workers", options.workers, "auto", {1, 1 << 16},
                          "Worker processes; auto: the most that the cores and the layout rules allow");
  fields.optional_integer("expert_parallel", options.expert_parallel, "auto", {1, 1 << 16},
                          "Workers that hold all experts between them; auto: all workers");
  fields.integer("threads", options.threads, {1, 1024}, "Threads of a worker");
  fields.choice("backend", options.backend, kBackendNames,
                "How workers talk: mpi between processes, inproc between threads of one process");
  fields.choice(
      "device", options.device, kDeviceNames,
      "Where workers compute: the processor, or a GPU for each of them (docs/gpu.md), whose bits are "
      "its own; a run may change it when it resumes");
  fields.choice("gemm", options.gemm, kGemmNames,
                "device: cuda: what computes dense products, the own kernels or cuBLASLt, whose bits are its "
                "own, on kinds of cards where scripts/device_check.sh has verified it");
  fields.choice(
      "recompute", options.recompute, kRecomputeNames,
      "What backward computes again instead of keeping: nothing, or every block from its input (less memory, "
      "up to a third more time)");
  fields.optional_integer(
      "hold_microbatches", options.hold_microbatches, "auto", {1, 1 << 30},
      "Microbatches of a worker that are kept between forward and backward where a loss counts the load of "
      "several; the others are computed forward again; auto: as many as fit into half of the free memory");
  fields.group("dispatch", options.dispatch, "How tokens travel to their experts");
  fields.choice(
      "placement", options.placement, kPlacementNames,
      "Which worker of a group holds which expert: contiguous numbers, or balanced by measured load");
  fields.integer("placement_every", options.placement_every, kPositive,
                 "Steps between moves of experts with placement: balanced");
}

}  // namespace troupe::layout
