#pragma once
#include <memory>

#include "comm/collectives/communicator.h"
#include "layout/layout.h"

namespace troupe::model {

/// The communicators of one worker. `world` must outlive it; construction is collective.
struct WorkerGroups {
  WorkerGroups(comm::Communicator& world_workers, const layout::Layout& layout)
      : world(world_workers),
        expert_group(world.split(layout.group(world.rank()), layout.position(world.rank()))),
        replicas(world.split(layout.position(world.rank()), layout.group(world.rank()))) {}

  comm::Communicator& world;
  std::unique_ptr<comm::Communicator> expert_group;  // holds all experts between them
  std::unique_ptr<comm::Communicator> replicas;      // hold the same experts
};

}  // namespace troupe::model
