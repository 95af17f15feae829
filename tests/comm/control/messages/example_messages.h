#pragma once
#include <limits>
#include <vector>

#include "comm/control/messages/messages.h"

namespace troupe::comm {

/// One of each message, with every field away from its initial value, and extreme ones among them.
inline std::vector<WorkerMessage> example_worker_messages() {
  const LayerLoad load{3,
                       {0, 17, std::numeric_limits<std::int64_t>::max()},
                       {0.1F, -1e-30F, 3e38F},
                       7,
                       {0, 3, 1},
                       {1.5, 0.25},
                       2.5,
                       {1, 2, 3, 4, 5, 6},
                       {0, 1, 2, 0, 0, 3, 0, 0, 0}};
  return {
      JoinRequested{2, 3, 8, "host-7", 4711, std::numeric_limits<std::uint64_t>::max(), "nonce", "job"},
      StepFinished{1, 100, 1'000'000, {{"loss", 2.1}, {"grad_norm", 1e300}}, {load, {}}, {{"forward", 0.25}}},
      EvaluationFinished{50, {{"code", {12.5, 10, 40}}, {"", {-0.0, -1, 0}}}, {load}},
      SampleFinished{7, "Once upon", "a time\n\"\\\x01 \xC3\xBC \xF0\x9F\x8C\x8D"},
      ShardWritten{4, 9, ".tmp-9-x", R"({"file": "a.h5"})", "disk full", 8, 1 << 20, 12345},
      WorkerActive{3, 12, "forward", {{3, "dispatch", 7, "all_to_all_v", 1 << 20, 99}}},
      WorkerFailed{1, "peer lost", "rank 3 is gone"},
      TrainingEnded{2, 2000, true},
  };
}

inline std::vector<CoordinatorMessage> example_coordinator_messages() {
  return {
      StartTraining{8, "/runs/a/checkpoints/step-00000100"},
      StepPlan{5, 101, 200, {150, 200}, {200}, {150}, {std::numeric_limits<std::int64_t>::min()}, 200},
      StopTraining{"signal 15"},
      Dismiss{},
      Refuse{"another build: its fingerprint is 1, not 2"},
  };
}

}  // namespace troupe::comm
