#pragma once
#include "model/model.h"
#include "tensor/transfer.h"
#include "workers/step/training_state.h"

namespace troupe::workers {

/// The buffers of a model and of what trains it as the host sees them: themselves where they are there; of a
/// device copies, which are filled when this is made and put back on request. Both by the compute thread; in
/// between any thread may use it.
class StateMirror {
 public:
  /// content: of copies at first
  StateMirror(model::Model& model, TrainingState& state, HostMirror::Content content)
      : dense(model.accelerator(), model.dense_buffer(), content),
        experts(model.accelerator(), model.expert_buffer(), content),
        dense_first(model.accelerator(), state.dense_adamw.first_moment_buffer(), content),
        dense_second(model.accelerator(), state.dense_adamw.second_moment_buffer(), content),
        expert_first(model.accelerator(), state.expert_adamw.first_moment_buffer(), content),
        expert_second(model.accelerator(), state.expert_adamw.second_moment_buffer(), content) {}

  void put_back() {
    for (HostMirror* mirror : {&dense, &experts, &dense_first, &dense_second, &expert_first, &expert_second})
      mirror->put_back();
  }

  HostMirror dense;  // values
  HostMirror experts;
  HostMirror dense_first;  // moments of the slices that this worker owns
  HostMirror dense_second;
  HostMirror expert_first;
  HostMirror expert_second;
};

}  // namespace troupe::workers
