#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/hash.h"
#include "workers/step/training_state.h"

namespace troupe::workers {

/// Workers that do not hold what the others hold.
struct Deviation {
  std::vector<int> workers;  // ascending
  bool by_majority =
      false;  // most holders agree, and these are the others; else nobody can tell who is right
  bool operator==(const Deviation&) const = default;
};

/// Compares what should be the same on all workers of a group. Pure.
///   hashes, groups: [workers]; those of the same group hold the same
[[nodiscard]] std::optional<Deviation> find_deviation(std::span<const storage::Hash128> hashes,
                                                      std::span<const int> groups);

/// Thrown on the workers that deviate; the others throw kPeerLost, since they can go on without them.
class ReplicaMismatch : public Error {
 public:
  ReplicaMismatch(const std::string& message, bool by_majority)
      : Error(ErrorCode::kCorrupt, message), by_majority_(by_majority) {}
  [[nodiscard]] bool by_majority() const { return by_majority_; }

 private:
  bool by_majority_;
};

/// Throws, on every worker, when parameters or balance state that several of them hold are not the same bits:
/// a memory or a processor is broken. Before an update, which would make all of them the same again.
/// Collective.
void check_replicas(const model::Model& model, const TrainingState& state);

}  // namespace troupe::workers
