#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "experts/router/routing_tape.h"
#include "layout/layout.h"
#include "workers/routing/routing_files.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// Where routing is kept and taken from; empty: it is not.
struct RoutingFolders {
  std::filesystem::path record;
  std::filesystem::path replay;
};

/// One worker's routing of a step: what its microbatches record, and what they follow. Everything but tapes()
/// is for the storage thread.
class RoutingTapes {
 public:
  /// corpus: content hash of the training text. Throws kConfig when a recording would replace what is
  /// replayed.
  RoutingTapes(const TrainingOptions& options, const std::string& corpus, const layout::Layout& layout,
               int worker, const RoutingFolders& folders);

  [[nodiscard]] bool active() const { return !folders_.record.empty() || !folders_.replay.empty(); }

  /// Before a step, on every worker: removes an older recording of it, by another layout perhaps, and reads
  /// what is to be followed. Errors as read_routing().
  void prepare(std::int64_t step);
  /// After the step, which no worker ends before all have begun it and the older recording is gone.
  void keep(std::int64_t step) const;

  /// [accumulation steps, waves], of the prepared step; empty tapes where the worker has no lane.
  [[nodiscard]] std::span<const experts::RoutingTape> tapes() const { return tapes_; }

 private:
  RoutingFolders folders_;
  int worker_;
  RoutingShape shape_;
  std::vector<std::int64_t> sequences_;  // [microbatches]
  std::vector<std::int32_t> recorded_;   // [microbatches, layers, tokens, slots]; empty: not asked for
  std::vector<std::int32_t> replayed_;   // the same
  std::vector<experts::RoutingTape> tapes_;
};

}  // namespace troupe::workers
