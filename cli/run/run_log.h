#pragma once
#include "coordinator/run/outcome.h"
#include "coordinator/run/run_observer.h"

namespace troupe::cli {

/// What happens in a run and how it ends, for its logs/coordinator.log: what people saw on a terminal that is
/// closed by now.
class RunLog final : public coordinator::RunObserver {
 public:
  void state_changed(coordinator::RunState state) override;
  void checkpoint_settled(const coordinator::CheckpointView& checkpoint) override;
  void note(coordinator::Severity severity, const std::string& text) override;
  void ended(const coordinator::RunOutcome& outcome);
};

}  // namespace troupe::cli
