#include "coordinator/run/run_actors.h"

#include <utility>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

constexpr actors::SpawnOptions kMailbox{.mailbox_capacity = 1 << 20};

}  // namespace

void RunActors::begin(comm::ControlServer& server) const {
  const actors::Delivery delivery = controller.send(BeginRun{membership, committer});
  TROUPE_CHECK(delivery == actors::Delivery::kDelivered, "{} is not there", controller.name());
  server.start(membership);
}

RunActors spawn_run_actors(actors::Runtime& runtime, const RunControllerOptions& options,
                           const std::string& nonce, const RunSurroundings& surroundings,
                           RunController::OnEnded on_ended) {
  RunActors run;
  run.controller = runtime.spawn(
      "run controller",
      [options, surroundings, on_ended = std::move(on_ended)] {
        return std::make_unique<RunController>(options, surroundings.observer, on_ended);
      },
      kMailbox);
  run.committer = runtime.spawn(
      "checkpoint committer",
      [options, surroundings, listener = run.controller] {
        return std::make_unique<CheckpointCommitter>(options.epoch, options.world_size, surroundings.commits,
                                                     listener);
      },
      kMailbox);
  run.membership = runtime.spawn(
      "membership",
      [options, surroundings, nonce, listener = run.controller] {
        MembershipOptions rules;
        rules.epoch = options.epoch;
        rules.world_size = options.world_size;
        rules.nonce = nonce;
        rules.job = options.job;
        rules.loss_limit = options.loss_limit;
        rules.stall_limit = options.stall_limit;
        return std::make_unique<Membership>(rules, surroundings.server, listener);
      },
      kMailbox);
  return run;
}

}  // namespace troupe::coordinator
