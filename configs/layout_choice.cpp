#include "configs/layout_choice.h"

#include <algorithm>

#include "base/error.h"

namespace troupe::configs {

std::optional<LayoutRefusal> refuse_layout(const RunConfig& config, const LayoutChoice& layout) {
  const auto [workers, expert_parallel] = layout;
  const bool automatic = !config.parallel.expert_parallel;
  const std::string key = automatic ? "parallel.workers" : "parallel.expert_parallel";
  if (workers > config.batch.grad_lanes) {
    return LayoutRefusal{"parallel.workers",
                         fmt::format("parallel.workers = {} exceeds batch.grad_lanes = {}: a worker "
                                     "needs a lane of its own",
                                     workers, config.batch.grad_lanes)};
  }
  if (expert_parallel > config.model.moe.experts) {
    return LayoutRefusal{key,
                         fmt::format("expert_parallel = {} exceeds model.moe.experts = {}: a worker needs an "
                                     "expert of its own",
                                     expert_parallel, config.model.moe.experts)};
  }
  if (workers % expert_parallel != 0) {
    return LayoutRefusal{key,
                         fmt::format("parallel.expert_parallel = {} must divide the number of workers, {}",
                                     expert_parallel, workers)};
  }
  const std::int64_t replicas = workers / expert_parallel;
  if (config.batch.expert_lanes % replicas != 0) {
    return LayoutRefusal{
        key, fmt::format("{} workers with expert_parallel {} make {} replicas of each expert, which "
                         "must divide batch.expert_lanes = {}",
                         workers, expert_parallel, replicas, config.batch.expert_lanes)};
  }
  return std::nullopt;
}

LayoutChoice choose_layout(const RunConfig& config, std::int64_t cores) {
  const auto layout_of = [&](std::int64_t workers) {
    return LayoutChoice{workers, config.parallel.expert_parallel.value_or(workers)};
  };
  if (config.parallel.workers) {
    const LayoutChoice layout = layout_of(*config.parallel.workers);
    if (const auto refusal = refuse_layout(config, layout)) throw Error(ErrorCode::kConfig, refusal->message);
    return layout;
  }
  const std::int64_t fitting =
      std::clamp<std::int64_t>(cores / config.parallel.threads, 1, config.batch.grad_lanes);
  for (std::int64_t workers = fitting; workers >= 1; --workers)
    if (!refuse_layout(config, layout_of(workers))) return layout_of(workers);
  for (std::int64_t workers = fitting + 1; workers <= config.batch.grad_lanes; ++workers)
    if (!refuse_layout(config, layout_of(workers))) return layout_of(workers);
  throw Error(
      ErrorCode::kConfig,
      "parallel.expert_parallel = {} goes with no number of workers from 1 to batch.grad_lanes = {}: it must "
      "divide the workers, and workers / expert_parallel must divide batch.expert_lanes = {}",
      config.parallel.expert_parallel.value_or(0), config.batch.grad_lanes, config.batch.expert_lanes);
}

std::optional<LayoutChoice> smaller_layout(const RunConfig& config, std::int64_t workers) {
  for (std::int64_t fewer = workers - 1; fewer >= 1; --fewer) {
    const LayoutChoice same{fewer, config.parallel.expert_parallel.value_or(fewer)};
    if (!refuse_layout(config, same)) return same;
    for (std::int64_t expert_parallel = fewer; expert_parallel >= 1; --expert_parallel)
      if (!refuse_layout(config, {fewer, expert_parallel})) return LayoutChoice{fewer, expert_parallel};
  }
  return std::nullopt;
}

}  // namespace troupe::configs
