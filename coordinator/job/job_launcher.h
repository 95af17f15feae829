#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job/job_command.h"

namespace troupe::coordinator {

/// How the job's first process (mpirun, or the worker itself) ended.
struct JobStatus {
  int exit_code = 0;  // when signal == 0
  int signal = 0;     // otherwise
  [[nodiscard]] bool succeeded() const { return exit_code == 0 && signal == 0; }
  /// By a signal, or, as mpirun says it of a rank, with 128 + n.
  [[nodiscard]] bool was_killed() const { return signal != 0 || exit_code > 128; }
  /// "exited with code 3", "was ended by signal 9 (Killed)".
  [[nodiscard]] std::string text() const;
  bool operator==(const JobStatus&) const = default;
};

/// The worker job: a child process in its own session, its output in a log file, reading nothing.
/// It cannot outlive this process: the kernel signals it when the thread that started it ends, so start it
/// from the main thread. This process becomes the reaper of its descendants, hence knows when all are gone.
/// Not thread-safe; nothing here blocks except end(). The process must have no other children.
class JobLauncher {
 public:
  /// Starts the job. Throws kIo when the program cannot be executed or the log file not be written.
  JobLauncher(const Command& command, std::filesystem::path log_file);
  /// Ends what is left, without grace.
  ~JobLauncher();
  JobLauncher(const JobLauncher&) = delete;
  JobLauncher& operator=(const JobLauncher&) = delete;

  [[nodiscard]] pid_t process_id() const { return process_id_; }
  /// The status once the first process ended; never blocks.
  [[nodiscard]] const std::optional<JobStatus>& poll();
  /// Ends the job: the command's end signal to the group, SIGKILL to every process left after `grace`;
  /// returns when all are gone. A process that even SIGKILL does not end (stuck in the kernel) is logged
  /// after a few seconds.
  void end(std::chrono::milliseconds grace);

  /// Last lines that the job printed, at most `lines`; for people. What mpirun says between its rules about
  /// ranks that ended is left out, unless there is nothing else.
  [[nodiscard]] std::string log_tail(std::size_t lines) const;
  /// The end of what the job printed, at most 16 KiB, mpirun's own words included.
  [[nodiscard]] std::string printed() const;
  [[nodiscard]] const std::filesystem::path& log_file() const { return log_file_; }

 private:
  /// Reaps; true while a process of the job is left.
  bool any_left();

  std::filesystem::path log_file_;
  int end_signal_;
  pid_t process_id_ = -1;
  std::optional<JobStatus> status_;
};

}  // namespace troupe::coordinator
