#pragma once
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cli/terminal/terminal_text.h"
#include "coordinator/run/outcome.h"
#include "coordinator/run/run_observer.h"

namespace troupe::cli {

/// What the output can show.
struct TerminalOptions {
  bool is_interactive = false;  // a terminal that can rewrite its line
  bool has_colour = false;
  std::size_t columns = 80;

  /// Of a stream such as stdout: a terminal, NO_COLOR (no-color.org), TERM=dumb, its width.
  [[nodiscard]] static TerminalOptions detect(std::FILE* stream);
};

/// What the start-up prints, each as "label  text".
using SummaryLines = std::vector<std::pair<std::string, std::string>>;

/// The run as people see it who started it: on a terminal one line that keeps itself current, with lasting
/// lines (warnings, evaluations, checkpoints, texts) above it; elsewhere plain lines, a step every few
/// seconds. Called by one thread at a time.
class Terminal final : public coordinator::RunObserver {
 public:
  /// Called with what errno says, each time that the output cannot be written. What cannot be written is
  /// dropped.
  using OnOutputLost = std::function<void(int error)>;

  /// `out` and `clock` must outlive it.
  Terminal(std::ostream& out, const TerminalOptions& options, const Clock& clock,
           OnOutputLost on_output_lost = {});

  /// The layout, parameters, addresses and folders: whatever the caller knows of the run.
  void print_start(const std::string& title, const SummaryLines& lines);
  /// How it ended, where things are, and what to do next (`next_command` may be empty).
  void print_end(const coordinator::RunOutcome& outcome, const SummaryLines& lines,
                 const std::string& next_command);

  void state_changed(coordinator::RunState state) override;
  void step_finished(const coordinator::StepView& step) override;
  void evaluation_finished(const coordinator::EvaluationSummary& evaluation) override;
  void sample_finished(const comm::SampleFinished& sample) override;
  void checkpoint_settled(const coordinator::CheckpointView& checkpoint) override;
  void membership_changed(const coordinator::MembershipView& membership) override;
  void note(coordinator::Severity severity, const std::string& text) override;

 private:
  enum class Colour { kPlain, kBold, kDim, kYellow, kRed };

  [[nodiscard]] std::string painted(std::string_view text, Colour colour) const;
  [[nodiscard]] std::optional<double> seconds_left(std::int64_t last_step) const;
  void remember(const coordinator::StepView& step);
  void print(const std::string& line);
  void print_lines(const SummaryLines& lines);
  void print_failure(const coordinator::RunOutcome& outcome);
  void print_domains(const coordinator::EvaluationSummary& evaluation);
  void show_status(const std::string& status);
  void draw_status();
  void clear_status();
  void flush();

  std::ostream& out_;
  TerminalOptions options_;
  const Clock& clock_;
  OnOutputLost on_output_lost_;
  std::string status_;
  bool status_is_drawn_ = false;
  std::optional<TimePoint> last_shown_;
  StatusNumbers numbers_;
  std::deque<std::pair<TimePoint, std::int64_t>> recent_steps_;  // for the time left
  std::size_t joined_workers_ = 0;
};

}  // namespace troupe::cli
