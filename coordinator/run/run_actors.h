#pragma once
#include <string>

#include "actors/runtime.h"
#include "comm/control/link/server.h"
#include "coordinator/run/run_controller.h"

namespace troupe::coordinator {

/// The actors of one epoch, on whatever runtime and link: those of a real run, a simulation or a benchmark.
struct RunActors {
  actors::Address<RunControllerApi> controller;
  actors::Address<CheckpointCommitterApi> committer;
  actors::Address<MembershipApi> membership;

  /// Lets workers in. `server` is the one that they were spawned with.
  void begin(comm::ControlServer& server) const;
};

/// What the actors use; must outlive them.
struct RunSurroundings {
  comm::ControlServer& server;
  CheckpointCommits& commits;
  RunObserver& observer;
};

/// nonce: of the run folder. on_ended: see RunController.
[[nodiscard]] RunActors spawn_run_actors(actors::Runtime& runtime, const RunControllerOptions& options,
                                         const std::string& nonce, const RunSurroundings& surroundings,
                                         RunController::OnEnded on_ended);

}  // namespace troupe::coordinator
