#include "cli/arguments/standard_streams.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "cli/subcommands.h"

namespace troupe::cli {
namespace {

/// open() takes the lowest free number, so from 0 up each falls in place.
void occupy(int stream, int flags) {
  if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF) [[maybe_unused]]
    const int opened = ::open("/dev/null", flags);
}

/// A stream remembers that it failed, not why.
void ask_again() { [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, "\n", 1); }

}  // namespace

void occupy_standard_streams() {
  occupy(STDIN_FILENO, O_WRONLY);
  occupy(STDOUT_FILENO, O_RDONLY);
  occupy(STDERR_FILENO, O_RDONLY);
}

int exit_code_after_output(int code) {
  errno = 0;
  std::cout.flush();
  const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || std::cout.bad();
  if (!lost) return code;
  if (errno == 0) ask_again();
  if (errno == EPIPE) return 128 + SIGPIPE;
  std::fprintf(stderr, "troupe: the output cannot be written: %s\n", std::strerror(errno));
  return code != kSuccess ? code : kFailure;
}

void drop_output() {
  ::__fpurge(stdout);
  std::clearerr(stdout);
  std::cout.clear();
}

}  // namespace troupe::cli
