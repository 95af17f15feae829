#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "comm/control/messages/messages.h"

namespace troupe::coordinator {

/// A worker that is slower than the others.
struct Straggler {
  std::int64_t rank = 0;
  std::string phase;            // where it loses most
  double seconds = 0.0;         // that it takes there, of a step
  double others_seconds = 0.0;  // that the others would take for its work
  [[nodiscard]] double factor() const { return seconds / others_seconds; }
  bool operator==(const Straggler&) const = default;
};

/// Notices workers that take longer than the others for the same work, from the times that they report of
/// their steps. Only phases count in which nobody waits for another, and whose work follows from a worker's
/// lanes; how many tokens its experts got is no fault of a worker's. Medians of many steps, twice in a row:
/// a few slow ones are none. Pure.
class StragglerWatch {
 public:
  static constexpr std::size_t kSteps = 32;
  static constexpr int kWindows = 2;           // of kSteps, in a row
  static constexpr double kLeastShare = 0.05;  // of a step, that is lost

  /// factor: how many times as long as the others is slow; 0: nobody ever is. lanes: of the whole batch
  StragglerWatch(double factor, std::int64_t workers, std::int64_t lanes);

  /// Of any rank, in order of its steps. Returns a worker that has become a straggler, or is one in another
  /// phase.
  [[nodiscard]] std::optional<Straggler> observe(const comm::StepFinished& step);
  /// The stragglers of now, by rank.
  [[nodiscard]] const std::map<std::int64_t, Straggler>& stragglers() const { return stragglers_; }

 private:
  /// Medians of a rank's last steps, in seconds for one lane.
  struct Pace {
    std::map<std::string, std::deque<double>> seconds;  // by phase, of a step
    std::deque<double> step_seconds;
    std::map<std::string, double> medians;  // once kSteps were seen
    double step_median = 0.0;
    int slow_windows = 0;  // in a row
  };
  void remember(const comm::StepFinished& step, Pace& pace) const;
  [[nodiscard]] std::optional<Straggler> compare(std::int64_t rank) const;
  [[nodiscard]] double lanes_of(std::int64_t rank) const;

  double factor_;
  std::int64_t workers_;
  std::int64_t lanes_;
  std::map<std::int64_t, Pace> paces_;
  std::map<std::int64_t, Straggler> stragglers_;
};

}  // namespace troupe::coordinator
