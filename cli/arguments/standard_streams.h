#pragma once

namespace troupe::cli {

/// For the start of main: streams that were closed (`>&-`) are opened on something that fails, so that no
/// file opened later takes their place and gets what is printed.
void occupy_standard_streams();

/// For the end of main: the exit code, given that of the work. Work whose output got lost on the way (a full
/// device, a closed stdout) is a failure, and says so; for a closed pipe it is 128 + SIGPIPE, as ever.
[[nodiscard]] int exit_code_after_output(int code);

/// Forgets what could not be written to stdout: it has been told.
void drop_output();

}  // namespace troupe::cli
