#pragma once
#include <sys/types.h>

#include <vector>

#include "base/file.h"
#include "coordinator/job/job_command.h"

namespace troupe::coordinator {

/// Forks and executes, in a new process group, stdin from /dev/null, stdout and stderr to `output`; the child
/// gets `command.death_signal` when the calling *thread* ends. Throws kIo naming the program when it cannot
/// be executed.
[[nodiscard]] pid_t start_child(const JobCommand& command, const FileDescriptor& output);

/// Executes the command instead of this program, with this one's input and output. Throws kIo as above.
[[noreturn]] void execute(const JobCommand& command);

/// Direct children, ended ones that nobody waited for included.
[[nodiscard]] std::vector<pid_t> children_of_this_process();

}  // namespace troupe::coordinator
