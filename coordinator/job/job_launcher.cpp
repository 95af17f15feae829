#include "coordinator/job/job_launcher.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "base/log.h"

namespace troupe::coordinator {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds kPollInterval{10};
constexpr Milliseconds kKillLimit{5000};
constexpr off_t kTailBytes = 16384;

std::optional<JobStatus> reap(pid_t process_id) {
  int status = 0;
  const pid_t reaped = ::waitpid(process_id, &status, WNOHANG);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return std::nullopt;
  if (reaped < 0) throw io_error(fmt::format("cannot wait for process {}", process_id));
  JobStatus result;
  if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
  } else {
    result.exit_code = WEXITSTATUS(status);
  }
  return result;
}

/// A process that is gone already is no failure.
void send_signal(pid_t target, int signal) {
  if (::kill(target, signal) != 0 && errno != ESRCH) {
    log::error("cannot send signal {} to process {}: {}", signal, target, std::strerror(errno));
  }
}

/// The text after the `lines`-th newline from the end.
std::string last_lines(const std::string& text, std::size_t lines) {
  std::size_t begin = text.size();
  for (std::size_t found = 0; begin > 0; --begin) {
    const bool ends_a_line = text[begin - 1] == '\n' && begin != text.size();
    if (ends_a_line && ++found == lines) break;
  }
  return text.substr(begin);
}

bool is_rule(std::string_view line) {
  return line.size() > 60 && line.find_first_not_of('-') == std::string_view::npos;
}

/// Without the blocks that mpirun puts between two rules.
std::string said_by_workers(const std::string& text) {
  std::string kept;
  bool inside = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const bool rule = is_rule(line);
    if (!inside && !rule) kept += line + '\n';
    inside = inside != rule;
  }
  return kept.empty() ? text : kept;
}

}  // namespace

std::string JobStatus::text() const {
  if (signal == 0) return fmt::format("exited with code {}", exit_code);
  return fmt::format("was ended by signal {} ({})", signal, ::strsignal(signal));
}

JobLauncher::JobLauncher(const Command& command, std::filesystem::path log_file)
    : log_file_(std::move(log_file)), end_signal_(command.end_signal) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw io_error("cannot become the reaper of the worker job");
  const FileDescriptor output = FileDescriptor::open(log_file_, O_WRONLY | O_CREAT | O_APPEND);
  process_id_ = start_child(command, output, output);
}

JobLauncher::~JobLauncher() {
  try {
    end(Milliseconds{0});
  } catch (const std::exception& error) {
    log::error("ending the worker job failed: {}", error.what());
  }
}

const std::optional<JobStatus>& JobLauncher::poll() {
  if (!status_) status_ = reap(process_id_);
  return status_;
}

bool JobLauncher::any_left() {
  bool left = !poll().has_value();
  for (const pid_t child : children_of_this_process()) {
    if (child != process_id_ && !reap(child)) left = true;
  }
  return left;
}

void JobLauncher::end(Milliseconds grace) {
  if (!any_left()) return;
  if (!status_) send_signal(-process_id_, end_signal_);
  Milliseconds waited{0};
  for (; waited < grace && any_left(); waited += kPollInterval) std::this_thread::sleep_for(kPollInterval);
  if (!status_) send_signal(-process_id_, SIGKILL);
  for (waited = Milliseconds{0}; any_left(); waited += kPollInterval) {
    // What mpirun leaves behind becomes our child, but only once mpirun is gone: look again each time.
    for (const pid_t child : children_of_this_process()) send_signal(child, SIGKILL);
    if (waited >= kKillLimit) {
      log::error("the worker job (process {}) cannot be ended: a process is stuck in the kernel",
                 process_id_);
      return;
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

std::string JobLauncher::printed() const {
  const FileDescriptor file = FileDescriptor::open(log_file_, O_RDONLY);
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size < 0) throw io_error("cannot read " + log_file_.string());
  std::string text(at(std::min(size, kTailBytes)), '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), size - static_cast<off_t>(text.size()));
  if (got < 0) throw io_error("cannot read " + log_file_.string());
  text.resize(at(got));
  return text;
}

std::string JobLauncher::log_tail(std::size_t lines) const {
  return last_lines(said_by_workers(printed()), lines);
}

}  // namespace troupe::coordinator
