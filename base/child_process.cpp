#include "base/child_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/index.h"
#include "base/signals.h"

namespace troupe {
namespace {

constexpr std::size_t kMaxOutputBytes = 1 << 20;

/// Strings and the null-terminated array of pointers to them that exec wants.
class StringArray {
 public:
  explicit StringArray(std::vector<std::string> strings) : strings_(std::move(strings)) {
    for (std::string& text : strings_) pointers_.push_back(text.data());
    pointers_.push_back(nullptr);
  }
  [[nodiscard]] char** data() { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('=')))) result.push_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(name + "=" + value);
  return result;
}

/// Everything the child needs, made before the fork: after it only async-signal-safe calls are allowed.
struct ChildSetup {
  StringArray arguments;
  StringArray environment;
  const char* folder;  // null: stay
  int end_signal;
  std::span<const int> blocked_signals;
  int input;
  int output;
  int errors;
  int failure;  // write end of the pipe that carries errno when exec fails
  pid_t parent;
};

[[noreturn]] void fail_child(int failure) {
  const int number = errno;
  // Without a reader there is nobody to tell: the exit code still does.
  [[maybe_unused]] const ssize_t written = ::write(failure, &number, sizeof number);
  ::_exit(127);
}

[[noreturn]] void run_child(ChildSetup& setup) {
  if (::setsid() < 0 || ::prctl(PR_SET_PDEATHSIG, setup.end_signal) != 0) fail_child(setup.failure);
  if (::getppid() != setup.parent) ::_exit(127);  // it died before the line above
  signals::restore_for_child(setup.blocked_signals);
  const bool redirected = ::dup2(setup.input, STDIN_FILENO) >= 0 &&
                          ::dup2(setup.output, STDOUT_FILENO) >= 0 &&
                          ::dup2(setup.errors, STDERR_FILENO) >= 0;
  const bool placed = setup.folder == nullptr || ::chdir(setup.folder) == 0;
  if (redirected && placed)
    ::execvpe(setup.arguments.data()[0], setup.arguments.data(), setup.environment.data());
  fail_child(setup.failure);
}

/// fork() with every signal blocked, so that no handler of ours runs in the child.
template <class Child>
pid_t fork_quietly(Child child) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  if (::pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
    throw Error(ErrorCode::kInternal, "pthread_sigmask failed");
  const pid_t process_id = ::fork();
  if (process_id == 0) child();
  const int fork_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = fork_errno;
  if (process_id < 0) throw io_error("cannot fork");
  return process_id;
}

/// Blocks until the child executed its program or failed to; in that case reaps it and throws.
void check_executed(pid_t process_id, const FileDescriptor& failure, const Command& command) {
  int number = 0;
  ssize_t got = 0;
  do {
    got = ::read(failure.get(), &number, sizeof number);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return;
  ::waitpid(process_id, nullptr, 0);
  errno = number;
  const std::string& program = command.arguments.front();
  throw io_error(command.folder.empty()
                     ? fmt::format("cannot execute {}", program)
                     : fmt::format("cannot execute {} in {}", program, command.folder.string()));
}

/// A file in memory that the child writes to: it never blocks on us, however much it says.
FileDescriptor memory_file(const char* name) {
  FileDescriptor file(::memfd_create(name, MFD_CLOEXEC));
  if (!file.valid()) throw io_error("memfd_create");
  return file;
}

std::string content(const FileDescriptor& file) {
  std::string text(kMaxOutputBytes, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  if (got < 0) throw io_error("cannot read what a program said");
  text.resize(at(got));
  return text;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw io_error("waitpid");
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::optional<pid_t> parent_of(const std::filesystem::path& process) {
  // "<pid> (<name>) <state> <parent> …": the name may hold anything, so begin after its last parenthesis.
  // The process may end at any time; then it is nobody's child.
  std::array<char, 512> bytes{};
  const int fd = ::open((process / "stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const FileDescriptor file(fd);
  const ssize_t got = ::read(file.get(), bytes.data(), bytes.size());
  if (got <= 0) return std::nullopt;
  const std::string_view text(bytes.data(), at(got));
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 4 >= text.size()) return std::nullopt;
  pid_t parent = 0;
  std::from_chars(text.data() + name_end + 4, text.data() + text.size(), parent);
  return parent;
}

}  // namespace

pid_t start_child(const Command& command, const FileDescriptor& output, const FileDescriptor& errors) {
  TROUPE_CHECK(!command.arguments.empty(), "a program to run");
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw io_error("cannot make a pipe to a child process");
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  const FileDescriptor input = FileDescriptor::open("/dev/null", O_RDONLY);
  ChildSetup setup{.arguments = StringArray(command.arguments),
                   .environment = StringArray(environment_with(command.environment)),
                   .folder = command.folder.empty() ? nullptr : command.folder.c_str(),
                   .end_signal = command.end_signal,
                   .blocked_signals = command.blocked_signals,
                   .input = input.get(),
                   .output = output.get(),
                   .errors = errors.get(),
                   .failure = write_end.get(),
                   .parent = ::getpid()};
  const pid_t process_id = fork_quietly([&] { run_child(setup); });
  write_end.close();
  check_executed(process_id, read_end, command);
  return process_id;
}

void execute(const Command& command) {
  StringArray arguments(command.arguments);
  StringArray environment(environment_with(command.environment));
  signals::restore_for_child();
  ::execvpe(arguments.data()[0], arguments.data(), environment.data());
  throw io_error("cannot execute " + command.arguments.front());
}

ChildResult run_program(const std::vector<std::string>& arguments, const std::filesystem::path& folder) {
  const FileDescriptor output = memory_file("output");
  const FileDescriptor errors = memory_file("errors");
  const pid_t child = start_child(
      {.arguments = arguments, .environment = {{"LC_ALL", "C.UTF-8"}, {"LANGUAGE", ""}}, .folder = folder},
      output, errors);
  const int exit_code = wait_for(child);
  return {exit_code, content(output), content(errors)};
}

std::vector<pid_t> children_of_this_process() {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t process_id = 0;
    const auto [stop, failure] = std::from_chars(name.data(), name.data() + name.size(), process_id);
    if (failure != std::errc{} || stop != name.data() + name.size()) continue;
    if (parent_of(entry.path()) == ::getpid()) children.push_back(process_id);
  }
  if (error) throw Error(ErrorCode::kIo, "cannot list /proc: {}", error.message());
  return children;
}

}  // namespace troupe
