#include "cli/terminal/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ostream>

#include "base/counted.h"
#include "base/index.h"

namespace troupe::cli {
namespace {

constexpr Duration kRedrawInterval = std::chrono::milliseconds(100);
constexpr Duration kPlainInterval = std::chrono::seconds(5);
constexpr std::size_t kRecentSteps = 50;
constexpr std::string_view kClearLine = "\r\x1b[2K";

bool environment_has(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

std::optional<double> find(const std::map<std::string, double>& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? std::nullopt : std::optional(found->second);
}

std::string loss_text(const coordinator::LossSummary& loss) {
  if (loss.accuracy) {
    return fmt::format("{:.4f} nats/pair, the chosen answer preferred in {:.1f} % of {} pairs",
                       loss.nats_per_token, 100.0 * *loss.accuracy, loss.tokens);
  }
  return fmt::format("{:.4f} nats/token, {:.4f} bits/byte, perplexity {}", loss.nats_per_token,
                     loss.bits_per_byte, count_text(loss.perplexity));
}

std::string headline(const coordinator::RunOutcome& outcome) {
  switch (outcome.result) {
    case coordinator::RunResult::kFinished:
      return "finished";
    case coordinator::RunResult::kStopped:
      return "stopped";
    case coordinator::RunResult::kAborted:
      return "ended at once";
    case coordinator::RunResult::kFailed:
      return "failed";
  }
  return "ended";
}

}  // namespace

TerminalOptions TerminalOptions::detect(std::FILE* stream) {
  TerminalOptions options;
  const int fd = ::fileno(stream);
  const char* kind = std::getenv("TERM");
  const bool is_dumb = kind == nullptr || std::string_view(kind) == "dumb" || *kind == '\0';
  options.is_interactive = fd >= 0 && ::isatty(fd) == 1 && !is_dumb;
  options.has_colour = options.is_interactive && !environment_has("NO_COLOR");
  winsize size{};
  if (options.is_interactive && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    options.columns = size.ws_col;
  return options;
}

Terminal::Terminal(std::ostream& out, const TerminalOptions& options, const Clock& clock,
                   OnOutputLost on_output_lost)
    : out_(out), options_(options), clock_(clock), on_output_lost_(std::move(on_output_lost)) {}

// ---- start and end -------------------------------------------------------------------------------

void Terminal::print_start(const std::string& title, const SummaryLines& lines) {
  print(painted(title, Colour::kBold));
  print_lines(lines);
}

void Terminal::print_end(const coordinator::RunOutcome& outcome, const SummaryLines& lines,
                         const std::string& next_command) {
  show_status({});
  std::string summary = fmt::format("{} at step {}", headline(outcome), outcome.step);
  if (outcome.loss) summary += fmt::format(", loss {:.4f}", *outcome.loss);
  if (outcome.tokens > 0)
    summary += fmt::format(", {} tokens", count_text(static_cast<double>(outcome.tokens)));
  if (outcome.seconds > 0.0) summary += fmt::format(", {} of training", duration_text(outcome.seconds));
  const bool failed = outcome.result == coordinator::RunResult::kFailed;
  print(painted(summary, failed ? Colour::kRed : Colour::kBold));
  if (failed) {
    print_failure(outcome);
  } else if (!outcome.message.empty()) {
    print("  " + outcome.message);
  }
  print_lines(lines);
  if (!next_command.empty()) print_lines({{"next", next_command}});
}

void Terminal::print_failure(const coordinator::RunOutcome& outcome) {
  print(painted("error: " + printable(outcome.message), Colour::kRed));
  if (outcome.log_tail.empty()) return;
  print(fmt::format("the end of {}:", outcome.log_file));
  print(indented(printable(outcome.log_tail), "  | "));
}

void Terminal::print_lines(const SummaryLines& lines) {
  std::size_t width = 0;
  for (const auto& [label, text] : lines) width = std::max(width, label.size());
  for (const auto& [label, text] : lines) {
    print(fmt::format("  {}  {}", painted(fmt::format("{:<{}}", label, width), Colour::kDim), text));
  }
}

// ---- while it runs -------------------------------------------------------------------------------

void Terminal::state_changed(coordinator::RunState state) {
  if (state == coordinator::RunState::kTraining) {
    show_status({});
    print(counted(joined_workers_, "worker") + " joined, training begins");
  }
  if (state == coordinator::RunState::kWaitingForWorkers) show_status("waiting for workers");
}

void Terminal::membership_changed(const coordinator::MembershipView& membership) {
  std::int64_t joined = 0;
  for (const coordinator::WorkerView& worker : membership.workers) joined += worker.ranks;
  joined_workers_ = at(joined);
  if (numbers_.step == 0 && joined < membership.world_size) {
    show_status(fmt::format("waiting for workers: {} of {} are here", joined, membership.world_size));
  }
}

void Terminal::step_finished(const coordinator::StepView& step) {
  remember(step);
  const bool is_last = step.report.step == step.last_step;
  const Duration interval = options_.is_interactive ? kRedrawInterval : kPlainInterval;
  const TimePoint now = clock_.now();
  if (!is_last && last_shown_ && now - *last_shown_ < interval) return;
  last_shown_ = now;
  if (options_.is_interactive) {
    show_status(status_text(numbers_));
  } else {
    print(status_text(numbers_));
  }
}

void Terminal::remember(const coordinator::StepView& step) {
  // After a failure steps come again.
  if (!recent_steps_.empty() && step.report.step <= recent_steps_.back().second) recent_steps_.clear();
  recent_steps_.emplace_back(clock_.now(), step.report.step);
  if (recent_steps_.size() > kRecentSteps) recent_steps_.pop_front();
  const auto& metrics = step.report.metrics;
  numbers_ = {.step = step.report.step,
              .last_step = step.last_step,
              .loss = find(metrics, "loss"),
              .margin = find(metrics, "preference_margin"),
              .accuracy = find(metrics, "preference_accuracy"),
              .tokens_per_second = find(metrics, "tokens_per_second"),
              .mfu = find(metrics, "mfu"),
              .max_violation = std::nullopt,
              .seconds_left = seconds_left(step.last_step)};
  for (const coordinator::LayerLoadStatistics& layer : step.layers) {
    numbers_.max_violation = std::max(numbers_.max_violation.value_or(0.0), layer.max_violation_window);
  }
}

std::optional<double> Terminal::seconds_left(std::int64_t last_step) const {
  const auto& [first_time, first_step] = recent_steps_.front();
  const auto& [time, step] = recent_steps_.back();
  if (step == first_step) return std::nullopt;
  const double per_step = seconds(time - first_time) / static_cast<double>(step - first_step);
  return per_step * static_cast<double>(last_step - step);
}

void Terminal::evaluation_finished(const coordinator::EvaluationSummary& evaluation) {
  print(fmt::format("step {}: evaluation {}", evaluation.step, loss_text(evaluation.overall)));
  const bool is_full = evaluation.step == 0 || evaluation.step == numbers_.last_step;
  if (is_full && evaluation.domains.size() > 1) print_domains(evaluation);
}

void Terminal::print_domains(const coordinator::EvaluationSummary& evaluation) {
  SummaryLines lines;
  for (const auto& [domain, loss] : evaluation.domains)
    lines.emplace_back(printable(domain), loss_text(loss));
  print_lines(lines);
}

void Terminal::sample_finished(const comm::SampleFinished& sample) {
  print(fmt::format("step {}: the model writes", sample.step));
  print(indented(painted(printable(sample.prompt), Colour::kBold) + printable(sample.text), "  | "));
}

void Terminal::checkpoint_settled(const coordinator::CheckpointView& checkpoint) {
  if (checkpoint.error.empty()) {
    print(fmt::format("step {}: checkpoint {} ({} in {:.1f} s)", checkpoint.step, checkpoint.path,
                      bytes_text(checkpoint.bytes), checkpoint.seconds));
  } else {
    note(coordinator::Severity::kWarning,
         fmt::format("the checkpoint of step {} could not be written: {}; training goes on", checkpoint.step,
                     checkpoint.error));
  }
}

void Terminal::note(coordinator::Severity severity, const std::string& text) {
  const std::string line = printable(text);
  switch (severity) {
    case coordinator::Severity::kInfo:
      return print(line);
    case coordinator::Severity::kWarning:
      return print(painted("warning: " + line, Colour::kYellow));
    case coordinator::Severity::kError:
      return print(painted("error: " + line, Colour::kRed));
  }
}

// ---- the screen ----------------------------------------------------------------------------------

std::string Terminal::painted(std::string_view text, Colour colour) const {
  if (!options_.has_colour || colour == Colour::kPlain) return std::string(text);
  const std::string_view code = colour == Colour::kBold     ? "1"
                                : colour == Colour::kDim    ? "2"
                                : colour == Colour::kYellow ? "33"
                                                            : "31";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

void Terminal::print(const std::string& line) {
  errno = 0;
  clear_status();
  out_ << line << '\n';
  draw_status();
  flush();
}

void Terminal::show_status(const std::string& status) {
  if (!options_.is_interactive || status == status_) return;
  errno = 0;
  clear_status();
  status_ = status;
  draw_status();
  flush();
}

void Terminal::draw_status() {
  if (status_.empty()) return;
  out_ << clipped(status_, options_.columns - 1);  // a full line would make some terminals wrap
  status_is_drawn_ = true;
}

void Terminal::clear_status() {
  if (std::exchange(status_is_drawn_, false)) out_ << kClearLine;
}

void Terminal::flush() {
  out_.flush();
  if (out_) return;
  const int error = errno;  // of the first write that failed
  out_.clear();
  if (on_output_lost_) on_output_lost_(error);
}

}  // namespace troupe::cli
