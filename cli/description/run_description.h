#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "configs/layout_choice.h"
#include "configs/run_config.h"
#include "model/cost.h"
#include "workers/step_traffic.h"
#include "workers/training_memory.h"

namespace troupe::cli {

/// What a run is and what it takes.
struct RunDescription {
  std::int64_t vocab_size = 0;
  model::ParameterCounts parameters;
  std::int64_t dense_parameters = 0;                 // held by every worker
  std::int64_t parameters_per_expert = 0;            // over all layers with experts
  std::array<std::int64_t, 7> parameters_by_part{};  // by ParameterPart
  std::int64_t cache_bytes_per_token = 0;  // of keys and values, or latents, of all layers, 4 bytes each
  std::int64_t cache_bytes = 0;            // of a context of `context` tokens
  std::int64_t context = 0;
  double sparsity = 1.0;     // (experts + shared) / (top_k + shared); 1 / activation ratio
  double granularity = 0.0;  // 2 * hidden / expert_size

  std::int64_t tokens_per_step = 0;
  double visible_keys = 0.0;  // average per query: (sequence_length + 1) / 2, sequences of one document
  double flops_per_token = 0.0;

  configs::LayoutChoice layout;
  std::int64_t accumulation_steps = 0;  // microbatches of a lane in a step
  std::int64_t waves = 0;               // of an accumulation step

  // Microbatches of a worker that go forward before the first goes backward, since a loss counts their load;
  // how many of them are held (0: as many as fit), and the bytes that each takes meanwhile.
  std::int64_t forward_together = 1;
  std::int64_t held = 0;
  std::int64_t held_bytes = 0;

  workers::TrainingMemory bytes_per_worker;
  workers::StepTraffic traffic;  // sent by worker 0, which has as many lanes as any
  workers::ResumeCost resume;    // of worker 0
};

/// Pure. cores: for `workers: auto`.
[[nodiscard]] RunDescription describe_run(const configs::RunConfig& config, std::int64_t vocab_size,
                                          std::int64_t cores);

[[nodiscard]] std::string to_text(const RunDescription& description);
[[nodiscard]] std::string to_json(const RunDescription& description);

}  // namespace troupe::cli
