#include "workers/agent/worker_agent.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "actors/actor.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "comm/control/link/run_files.h"

namespace troupe::workers {
namespace {

constexpr std::size_t kNonceBytes = 256;
// Activities are worth nothing once they queue behind reports that nobody takes.
constexpr std::size_t kActivityBacklog = 64;
constexpr Duration kQueueWait = std::chrono::milliseconds(50);
constexpr Duration kFailureWait = std::chrono::seconds(1);
constexpr Duration kForever = std::chrono::hours(24 * 365);

comm::RankPlace place_of(const progress::Word& word) {
  const char* collective = word.collective.load(std::memory_order_relaxed);
  return {.rank = word.rank,
          .phase = word.phase.load(std::memory_order_relaxed),
          .layer = word.layer.load(std::memory_order_relaxed),
          .collective = collective == nullptr ? "" : collective,
          .collectives = static_cast<std::int64_t>(word.collectives_begun.load(std::memory_order_relaxed)),
          .moves = static_cast<std::int64_t>(word.moves.load(std::memory_order_relaxed))};
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace

comm::JoinRequested identify(const std::filesystem::path& run_folder, std::int64_t first_rank,
                             std::int64_t ranks, std::int64_t world_size,
                             std::uint64_t numerics_fingerprint) {
  comm::JoinRequested identity;
  identity.first_rank = first_rank;
  identity.ranks = ranks;
  identity.world_size = world_size;
  identity.host = host_name();
  identity.process_id = ::getpid();
  identity.numerics_fingerprint = numerics_fingerprint;
  const std::filesystem::path nonce = run_folder / comm::kNonceFile;
  if (std::filesystem::exists(nonce)) identity.run_folder_nonce = read_file(nonce, kNonceBytes);
  return identity;
}

/// What the listener knows and the trainer's threads ask for.
struct WorkerAgent::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<comm::StartTraining> start;
  std::optional<std::string> refusal;
  std::optional<std::string> lost;  // why
  comm::StepPlan plan;              // the newest; version 0 before the first
  bool dismissed = false;
  bool link_finished = false;
  comm::WorkerActive activity;
  std::vector<const progress::Word*> words;
  std::atomic<bool> stop = false;

  /// Under the mutex.
  [[nodiscard]] comm::WorkerActive present() const {
    comm::WorkerActive result = activity;
    for (const progress::Word* word : words) result.places.push_back(place_of(*word));
    return result;
  }

  /// True when that matters: the run was not over.
  bool lose(const std::string& reason) {
    const std::lock_guard lock(mutex);
    lost = reason;
    changed.notify_all();
    return !dismissed && !refusal;
  }
};

struct ReportActivity {};

namespace {

using ListenerApi = actors::Accepts<comm::CoordinatorConnected, comm::CoordinatorMessageArrived,
                                    comm::CoordinatorLost, comm::LinkFinished, ReportActivity>;

}  // namespace

/// Receives what the coordinator says, and reports this process's activity.
class WorkerAgent::Listener final : public actors::Actor<ListenerApi> {
 public:
  Listener(State& state, comm::ControlClient& client, const AgentOptions& options)
      : state_(state), client_(client), options_(options) {}

  void on(const comm::CoordinatorConnected&) override {}

  void on(const comm::CoordinatorMessageArrived& arrived) override {
    const std::lock_guard lock(state_.mutex);
    std::visit([this](const auto& message) { take(message); }, arrived.message);
    state_.changed.notify_all();
  }

  void on(const comm::CoordinatorLost& lost) override {
    if (state_.lose(lost.reason) && options_.on_coordinator_lost) options_.on_coordinator_lost(lost.reason);
  }

  void on(const comm::LinkFinished&) override {
    const std::lock_guard lock(state_.mutex);
    state_.link_finished = true;
    state_.changed.notify_all();
  }

  void on(const ReportActivity&) override {
    send_later(options_.activity_interval, ReportActivity{});
    comm::WorkerActive activity;
    {
      const std::lock_guard lock(state_.mutex);
      activity = state_.present();
    }
    if (activity == last_activity_ || client_.unacknowledged() > kActivityBacklog) return;
    if (client_.send(activity) == actors::Delivery::kDelivered) last_activity_ = activity;
  }

 private:
  void started() override { send_later(options_.activity_interval, ReportActivity{}); }

  void take(const comm::StartTraining& start) { state_.start = start; }
  void take(const comm::StepPlan& plan) {
    if (plan.version > state_.plan.version) state_.plan = plan;
  }
  void take(const comm::StopTraining&) { state_.stop = true; }
  void take(const comm::Dismiss&) { state_.dismissed = true; }
  void take(const comm::Refuse& refuse) { state_.refusal = refuse.reason; }

  State& state_;
  comm::ControlClient& client_;
  const AgentOptions& options_;
  comm::WorkerActive last_activity_;
};

WorkerAgent::WorkerAgent(comm::ControlClient& client, AgentOptions options)
    : client_(client),
      options_(std::move(options)),
      state_(std::make_unique<State>()),
      runtime_(1, [this](const Error& error) { state_->lose(error.what()); }) {
  listener_ = runtime_.spawn("control listener",
                             [this] { return std::make_unique<Listener>(*state_, client_, options_); });
}

WorkerAgent::~WorkerAgent() = default;

template <class Condition>
bool WorkerAgent::wait(std::unique_lock<std::mutex>& lock, Condition condition, Duration limit) {
  const bool settled =
      state_->changed.wait_for(lock, limit, [&] { return condition() || state_->lost || state_->refusal; });
  if (condition()) return true;
  if (state_->refusal)
    throw Error(ErrorCode::kConfig, "the coordinator refused this worker: {}", *state_->refusal);
  if (state_->lost) throw Error(ErrorCode::kPeerLost, "the coordinator is lost: {}", *state_->lost);
  return settled;
}

comm::StartTraining WorkerAgent::join(const comm::JoinRequested& identity) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->activity.rank = identity.first_rank;
  }
  client_.start(listener_);
  report(identity);
  std::unique_lock lock(state_->mutex);
  if (!wait(
          lock, [&] { return state_->start.has_value(); }, options_.join_limit)) {
    throw Error(ErrorCode::kTimeout, "not all workers joined within {:.0f} s", seconds(options_.join_limit));
  }
  return *state_->start;
}

std::int64_t WorkerAgent::newest_plan_version() {
  const std::lock_guard lock(state_->mutex);
  return state_->plan.version;
}

comm::StepPlan WorkerAgent::plan(std::int64_t version) {
  std::unique_lock lock(state_->mutex);
  wait(
      lock, [&] { return state_->plan.version >= version; }, kForever);
  return state_->plan;
}

bool WorkerAgent::stop_requested() { return state_->stop.load(); }

void WorkerAgent::request_stop() noexcept { state_->stop.store(true); }

std::shared_ptr<void> WorkerAgent::watch(const progress::Word& word) {
  const std::lock_guard lock(state_->mutex);
  state_->words.push_back(&word);
  return {nullptr, [this, &word](void*) {
            const std::lock_guard ending(state_->mutex);
            std::erase(state_->words, &word);
          }};
}

void WorkerAgent::set_activity(std::int64_t step, const std::string& activity) {
  progress::set_step(step);
  const std::lock_guard lock(state_->mutex);
  state_->activity.step = step;
  state_->activity.activity = activity;
}

void WorkerAgent::report(comm::WorkerMessage message) {
  for (;;) {
    switch (client_.send(message)) {
      case actors::Delivery::kDelivered:
        return;
      case actors::Delivery::kFull:
        (void)client_.wait_until_acknowledged(kQueueWait);
        break;
      case actors::Delivery::kDead: {
        const std::lock_guard lock(state_->mutex);
        throw Error(ErrorCode::kPeerLost, "the coordinator is lost: {}",
                    state_->lost.value_or("the link is closed"));
      }
    }
  }
}

void WorkerAgent::finish(std::span<const comm::TrainingEnded> ended) {
  for (const comm::TrainingEnded& rank : ended) {
    set_activity(rank.step, "leaving");
    report(rank);
  }
  {
    std::unique_lock lock(state_->mutex);
    wait(
        lock, [&] { return state_->dismissed; }, kForever);
  }
  client_.finish();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->link_finished || state_->lost; });
}

void WorkerAgent::fail(std::int64_t rank, const std::string& error_code,
                       const std::string& message) noexcept {
  try {
    if (client_.send(comm::WorkerFailed{rank, error_code, message}) == actors::Delivery::kDelivered) {
      (void)client_.wait_until_acknowledged(kFailureWait);
    }
  } catch (const std::exception& error) {
    log::error("the coordinator could not be told: {}", error.what());
  }
}

void WorkerAgent::wait_until_lost(Duration limit) noexcept {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, limit, [this] { return state_->lost.has_value(); });
}

}  // namespace troupe::workers
