/// Linked into the program for tests alone: makes it fail at a fault point (base/fault_points.h), as
/// TROUPE_FAULT says before main() begins:
///   TROUPE_FAULT=worker1:dispatch:step7:kill,coordinator:commit:step8:kill
/// Who, where, in which step, and what:
///   kill (SIGKILL), crash (SIGSEGV), stop (SIGSTOP), hang (for ever), exit (code 1), kill_launcher (the
///   parent), refuse (an error of the configuration), fork (leaves a process behind that only SIGKILL ends),
///   full (an error of the disk);
///   of data (weights, snapshot): nan (the first number), flip (a bit in the middle).
/// Each happens once: the folder TROUPE_FAULT_MARKS remembers, over all processes of a test; without it,
/// every time.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fault_points.h"

namespace troupe {
namespace {

struct Fault {
  std::string text;
  std::int64_t rank = 0;
  std::string point;
  std::int64_t step = 0;
  std::string action;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

[[noreturn]] void refuse(const std::string& text) {
  std::fprintf(stderr, "TROUPE_FAULT: '%s' is not WHO:POINT:stepN:ACTION\n", text.c_str());
  ::_exit(2);
}

Fault parse(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() != 4 || !parts[2].starts_with("step")) refuse(text);
  Fault fault{.text = text, .point = parts[1], .step = std::atoll(parts[2].c_str() + 4), .action = parts[3]};
  if (parts[0] == "coordinator") {
    fault.rank = fault_points::kCoordinator;
  } else if (parts[0].starts_with("worker")) {
    fault.rank = std::atoll(parts[0].c_str() + 6);
  } else {
    refuse(text);
  }
  return fault;
}

std::vector<Fault>& faults() {
  static std::vector<Fault> all;
  return all;
}

/// Whether it is this fault's first time.
bool claim(const Fault& fault) {
  const char* marks = std::getenv("TROUPE_FAULT_MARKS");
  if (marks == nullptr) return true;
  const std::string mark = std::string(marks) + "/" + fault.text;
  const int file = ::open(mark.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (file >= 0) ::close(file);
  return file >= 0;
}

void happen(const Fault& fault) {
  if (fault.action == "kill") ::raise(SIGKILL);
  if (fault.action == "crash") ::raise(SIGSEGV);
  if (fault.action == "stop") ::raise(SIGSTOP);
  if (fault.action == "exit") ::_exit(1);
  if (fault.action == "kill_launcher") ::kill(::getppid(), SIGKILL);
  if (fault.action == "full") throw Error(ErrorCode::kIo, "a fault: No space left on device");
  if (fault.action == "refuse") throw Error(ErrorCode::kConfig, "a fault: this run is impossible");
  if (fault.action == "fork" && ::fork() == 0) {
    ::setsid();
    for (;;) ::pause();
  }
  // Nobody can tell how far this worker would come before it hears of that.
  while (fault.action == "hang" || fault.action == "kill_launcher") ::pause();
}

void act(std::string_view point, std::int64_t rank, std::int64_t step) {
  for (const Fault& fault : faults()) {
    if (fault.rank == rank && fault.step == step && fault.point == point && claim(fault)) happen(fault);
  }
}

void happen(const Fault& fault, std::span<std::byte> data) {
  if (fault.action == "flip") data[data.size() / 2] ^= std::byte{16};
  if (fault.action == "nan") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(data.data(), &nan, sizeof nan);
  }
}

void spoil(std::string_view point, std::int64_t rank, std::int64_t step, std::span<std::byte> data) {
  for (const Fault& fault : faults()) {
    if (fault.rank == rank && fault.step == step && fault.point == point && claim(fault)) happen(fault, data);
  }
}

const bool prepared = [] {
  const char* text = std::getenv("TROUPE_FAULT");
  if (text == nullptr) return false;
  for (const std::string& one : split(text, ',')) faults().push_back(parse(one));
  fault_points::act = act;
  fault_points::spoil = spoil;
  return true;
}();

}  // namespace
}  // namespace troupe
