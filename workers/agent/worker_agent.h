#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "actors/asio_runtime.h"
#include "base/clock.h"
#include "comm/control/link/client.h"
#include "comm/control/messages/messages.h"
#include "workers/agent/run_control.h"

namespace troupe::progress {
struct Word;
}

namespace troupe::workers {

/// Who this process is, for WorkerAgent::join: fills in host, process and the run folder's nonce (empty when
/// the folder has none: the coordinator then refuses, with the reason).
[[nodiscard]] comm::JoinRequested identify(const std::filesystem::path& run_folder, std::int64_t first_rank,
                                           std::int64_t ranks, std::int64_t world_size,
                                           std::uint64_t numerics_fingerprint);

struct AgentOptions {
  Duration activity_interval = std::chrono::milliseconds(250);
  Duration join_limit = std::chrono::seconds(180);  // longer than the coordinator waits for all workers
  /// Called once, on the agent's thread, when the coordinator is lost before the run was over. The trainer
  /// may be stuck in a collective then, so a worker process ends itself here. May be empty.
  std::function<void(const std::string& reason)> on_coordinator_lost;
};

/// A worker process' view of its coordinator. Thread-safe: with the inproc backend all compute threads use
/// one. Nothing here holds up a step: plans and requests are there before they are asked for, and reports
/// queue while the coordinator stands still. Methods that can throw throw Error{kPeerLost} once the
/// coordinator is lost: its connection closed, or it was silent for too long.
class WorkerAgent final : public RunControl {
 public:
  /// `client` is not started yet, and must outlive the agent.
  explicit WorkerAgent(comm::ControlClient& client, AgentOptions options = {});
  ~WorkerAgent() override;
  WorkerAgent(const WorkerAgent&) = delete;
  WorkerAgent& operator=(const WorkerAgent&) = delete;

  /// Waits until all workers have joined. Throws kConfig with the coordinator's words when it refuses,
  /// kTimeout after the join limit.
  [[nodiscard]] comm::StartTraining join(const comm::JoinRequested& identity);

  [[nodiscard]] std::int64_t newest_plan_version() override;
  /// Waits only for the very first plan, and for one that another worker saw a moment earlier.
  [[nodiscard]] comm::StepPlan plan(std::int64_t version) override;
  [[nodiscard]] bool stop_requested() override;
  /// As if the coordinator had asked.
  void request_stop() noexcept;

  void set_activity(std::int64_t step, const std::string& activity) override;
  /// Tells the coordinator where a compute thread of this process is, as long as what is returned lives,
  /// which the word must outlive.
  [[nodiscard]] std::shared_ptr<void> watch(const progress::Word& word);
  /// Queues a report. Waits only when the coordinator has acknowledged nothing for thousands of them.
  void report(comm::WorkerMessage message) override;

  /// The end of a run that went well: reports the end of this process's ranks, and waits until the
  /// coordinator has everything and dismisses the worker. The last call.
  void finish(std::span<const comm::TrainingEnded> ended);
  /// The end of one that did not: tells the coordinator why, and waits a moment for it to arrive. Never
  /// throws.
  void fail(std::int64_t rank, const std::string& error_code, const std::string& message) noexcept;
  /// After fail(): waits until the coordinator, which says last what happened, has closed the link.
  void wait_until_lost(Duration limit) noexcept;

 private:
  struct State;
  class Listener;

  /// Waits, throws when the coordinator is lost; false after `limit`.
  template <class Condition>
  bool wait(std::unique_lock<std::mutex>& lock, Condition condition, Duration limit);

  comm::ControlClient& client_;
  AgentOptions options_;
  std::unique_ptr<State> state_;
  actors::AsioRuntime runtime_;  // of the listener alone; destroyed first
  actors::Address<comm::ClientEvents> listener_;
};

}  // namespace troupe::workers
