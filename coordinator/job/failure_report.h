#pragma once
#include <optional>
#include <string>

namespace troupe::coordinator {

/// What a failing run shows, most telling first: when one worker dies, the others lose their peer and
/// the job ends, all within moments and in any order.
enum class FailureKind {
  kImpossible,   // a worker says that the run cannot go on as configured
  kDeviates,     // a worker holds other numbers than most that should hold the same: it is left out
  kDisagrees,    // workers hold different numbers, and nobody can tell who is right
  kWorkerError,  // a worker says what went wrong with itself
  kRefusal,      // a worker was not let in
  kWorkerGone,   // a worker vanished without a word
  kPeerLost,     // a worker says that it lost another
  kStalled,      // no worker gets any further
  kJobKilled,    // the job's first process was ended by a signal, or says that a worker was
  kJobEnded,     // the job's first process ended otherwise
  kDeadline,     // something did not happen in time
};

/// Keeps the most telling of what is seen; among equals the first, since what comes later follows from it.
class FailureReport {
 public:
  void add(FailureKind kind, std::string text);
  [[nodiscard]] bool empty() const { return !kind_.has_value(); }
  [[nodiscard]] std::optional<FailureKind> kind() const { return kind_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::optional<FailureKind> kind_;
  std::string text_;
};

}  // namespace troupe::coordinator
