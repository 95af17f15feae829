#include "data/corpus/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace troupe::data {
namespace {

constexpr std::size_t kMaxOutputBytes = 1 << 20;

void check(int failure, const std::string& what) {
  if (failure != 0) throw Error(ErrorCode::kIo, "{}: {}", what, std::generic_category().message(failure));
}

/// posix_spawn_file_actions_t with its life.
class FileActions {
 public:
  FileActions() { check(::posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init"); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }

  void open_null(int target) {
    check(::posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", O_RDONLY, 0), "/dev/null");
  }
  void duplicate(int source, int target) {
    check(::posix_spawn_file_actions_adddup2(&actions_, source, target), "posix_spawn_file_actions_adddup2");
  }
  void change_folder(const std::filesystem::path& folder) {
    check(::posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str()), folder.string());
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

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
  text.resize(static_cast<std::size_t>(got));
  return text;
}

/// Pointers to C strings, ended by a null pointer, as exec wants them.
std::vector<char*> pointers(std::vector<std::string>& values) {
  std::vector<char*> result;
  for (std::string& value : values) result.push_back(value.data());
  result.push_back(nullptr);
  return result;
}

/// Our environment, with messages in English.
std::vector<std::string> child_environment() {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("LC_ALL=") && !text.starts_with("LANGUAGE=")) result.emplace_back(text);
  }
  result.emplace_back("LC_ALL=C.UTF-8");
  return result;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw io_error("waitpid");
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

ChildResult run_program(std::span<const std::string> arguments, const std::filesystem::path& folder) {
  TROUPE_CHECK(!arguments.empty(), "a program to run");
  const FileDescriptor output = memory_file("output");
  const FileDescriptor errors = memory_file("errors");
  FileActions actions;
  actions.open_null(STDIN_FILENO);
  actions.duplicate(output.get(), STDOUT_FILENO);
  actions.duplicate(errors.get(), STDERR_FILENO);
  actions.change_folder(folder);

  std::vector<std::string> values(arguments.begin(), arguments.end());
  std::vector<std::string> environment = child_environment();
  pid_t child = 0;
  check(::posix_spawnp(&child, values[0].c_str(), actions.get(), nullptr, pointers(values).data(),
                       pointers(environment).data()),
        "cannot run " + values[0]);
  const int exit_code = wait_for(child);
  return {exit_code, content(output), content(errors)};
}

}  // namespace troupe::data
