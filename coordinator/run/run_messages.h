#pragma once
#include <cstdint>
#include <string>

#include "comm/control/messages/messages.h"
#include "coordinator/run/run_observer.h"
#include "coordinator/run/worker_roster.h"

/// What the coordinator's actors say to each other. Every message belongs to one epoch: the actors of an
/// epoch end with it, and the link drops what workers of another one say.
namespace troupe::coordinator {

// ---- Membership and RunController ----------------------------------------------------------------

/// To every worker that is here.
struct Broadcast {
  comm::CoordinatorMessage message;
};

struct AllJoined {
  std::uint64_t numerics_fingerprint = 0;
};
struct WorkerRefused {
  std::string worker;  // name_of
  std::string reason;
};
/// Its connection closed, or it was silent for too long. No blame: it may have been dismissed.
struct WorkerGone {
  comm::JoinRequested identity;
  comm::WorkerActive activity;  // the newest
  std::string reason;
  bool was_last = false;
};
/// It said itself why it cannot go on.
struct WorkerBroke {
  std::string worker;  // name_of
  comm::WorkerActive activity;
  comm::WorkerFailed failure;
};
/// None of them gets any further; once.
struct WorkersStalled {
  std::string text;
};
struct WorkerReported {
  comm::WorkerMessage message;
};
struct MembershipChanged {
  MembershipView view;
};
/// For people.
struct Remark {
  Severity severity = Severity::kInfo;
  std::string text;
};

// ---- RunController and CheckpointCommitter -------------------------------------------------------

struct BeginCommits {
  std::uint64_t numerics_fingerprint = 0;
};
/// No more reports will come: attempts that lack some are given up.
struct FinishCommits {};
struct CheckpointSettled {
  CheckpointView checkpoint;
};
struct CommitsFinished {};

// ---- the main thread and RunController -----------------------------------------------------------

/// Finish the step, save, end; or, with a signal number, end now without saving.
struct StopRequested {
  std::string reason;  // "SIGTERM"
  int abort_signal = 0;
};
struct JobEnded {
  std::string status;       // "exited with code 1"
  bool was_killed = false;  // by a signal, or because a worker was
};

}  // namespace troupe::coordinator
