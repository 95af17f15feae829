#pragma once
#include <cstdint>
#include <string>

#include "cli/run/run_start.h"
#include "cli/terminal/terminal.h"
#include "configs/run_config.h"

namespace troupe::cli {

/// A start of a run as its first lines tell of it.
struct StartedRun {
  const configs::RunConfig& config;
  std::int64_t vocab_size;
  const StartPoint& start;
  std::string folder;
  std::string binding;  // of workers to cores
  std::string control;  // the coordinator's address for workers
  std::string page;     // empty: none
};
[[nodiscard]] SummaryLines start_summary(const StartedRun& run);

}  // namespace troupe::cli
