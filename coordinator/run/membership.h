#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "actors/actor.h"
#include "comm/control/link/server.h"
#include "coordinator/recovery/stall_report.h"
#include "coordinator/recovery/stall_watch.h"
#include "coordinator/run/run_messages.h"
#include "coordinator/run/worker_roster.h"

namespace troupe::coordinator {

struct CheckHeartbeats {};

using MembershipApi = actors::Accepts<comm::WorkerConnected, comm::WorkerMessageArrived,
                                      comm::WorkerDisconnected, Broadcast, CheckHeartbeats>;
/// Whom Membership tells.
using MembershipListenerApi = actors::Accepts<AllJoined, WorkerRefused, WorkerGone, WorkerBroke,
                                              WorkersStalled, WorkerReported, MembershipChanged, Remark>;

struct MembershipOptions {
  comm::Epoch epoch = 0;
  std::int64_t world_size = 1;
  std::string nonce;
  std::string job;  // of this epoch; empty: of whoever knows the secret
  Duration check_interval = std::chrono::milliseconds(250);
  Duration view_interval = std::chrono::seconds(1);
  Duration silence_limit = std::chrono::seconds(2);  // then a worker is suspected and named
  Duration loss_limit = std::chrono::seconds(60);    // then it is given up
  Duration stall_limit = Duration::zero();           // see StallWatch
  Duration standstill = std::chrono::seconds(1);     // between two checks: this process itself was frozen
};

/// Lets workers in, follows their heartbeats, and passes on what they say. One per epoch.
class Membership final : public actors::Actor<MembershipApi> {
 public:
  /// `server` must outlive the actor, and send its events here.
  Membership(MembershipOptions options, comm::ControlServer& server,
             actors::Address<MembershipListenerApi> listener);

  void on(const comm::WorkerConnected& connected) override;
  void on(const comm::WorkerMessageArrived& arrived) override;
  void on(const comm::WorkerDisconnected& disconnected) override;
  void on(const Broadcast& broadcast) override;
  void on(const CheckHeartbeats& check) override;

 private:
  void started() override;
  void join(ConnectionId connection, const comm::JoinRequested& identity);
  /// A process that nobody of this epoch started: it may know the run's folder, but is no worker of it.
  void refuse_stranger(ConnectionId connection, const comm::JoinRequested& identity);
  void refuse(ConnectionId connection, const std::string& worker, const std::string& reason);
  void forward(const comm::WorkerMessageArrived& arrived);
  void listen();
  void suspect_silent_workers();
  void give_up_lost_workers();
  void look_for_stall();
  void remove(ConnectionId connection, const std::string& reason);
  /// A view names every worker: at once only when all are here or gone, else once per check at most.
  void show();
  [[nodiscard]] std::vector<StalledProcess> processes() const;
  template <class Message>
  void tell(Message message) const;
  void send(ConnectionId connection, const comm::CoordinatorMessage& message);

  MembershipOptions options_;
  comm::ControlServer& server_;
  actors::Address<MembershipListenerApi> listener_;
  WorkerRoster roster_;
  StallWatch stall_;
  bool stall_is_told_ = false;
  TimePoint last_check_;
  TimePoint last_view_;
  bool view_is_stale_ = false;
};

}  // namespace troupe::coordinator
