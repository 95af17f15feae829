#include "coordinator/run/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSmallFileBytes = 512;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

/// When a process began, in the kernel's ticks: a later process of the same number has another.
std::string start_time(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return "";
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  return field;
}

/// A process that holds a folder, as it is written down: "4711 181223 node7".
struct Owner {
  pid_t process = 0;
  std::string started;
  std::string host;

  static Owner this_process() { return {::getpid(), start_time(::getpid()), host_name()}; }

  static std::optional<Owner> parse(const std::string& text) {
    std::istringstream fields(text);
    Owner owner;
    if (fields >> owner.process >> owner.started >> owner.host) return owner;
    return std::nullopt;
  }

  [[nodiscard]] std::string text() const { return fmt::format("{} {} {}\n", process, started, host); }
  [[nodiscard]] std::string name() const { return fmt::format("process {} on {}", process, host); }
  [[nodiscard]] bool has_ended() const { return host == host_name() && start_time(process) != started; }
};

[[noreturn]] void refuse(const fs::path& folder, const std::string& holder, const std::string& advice) {
  throw Error(ErrorCode::kIo, "the run folder {} is in use by {}: {}", folder.string(),
              holder.empty() ? "another process" : holder, advice);
}

constexpr const char* kWait = "wait until it ends, or choose another --run-dir";

/// What the file system answers when it has no locks, instead of whether one is held.
bool has_no_locks(int error) { return error == ENOSYS || error == EOPNOTSUPP || error == ENOLCK; }

void replace_content(const FileDescriptor& file, const std::string& text, const fs::path& path) {
  if (::ftruncate(file.get(), 0) != 0) throw io_error("cannot write " + path.string());
  write_all(file, std::as_bytes(std::span(text)), path);
}

/// Whether this process made the file; false when it is there already.
bool make_owner_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0 && errno == EEXIST) return false;
  if (fd < 0) throw io_error("cannot make " + path.string());
  FileDescriptor file(fd);
  replace_content(file, Owner::this_process().text(), path);
  file.close();
  return true;
}

/// Moves the file of an owner that has ended out of the way; refuses when another process was quicker.
void remove_stale(const fs::path& path, const std::string& content, const fs::path& folder) {
  const fs::path removed = path.string() + ".ended-" + std::to_string(::getpid());
  if (::rename(path.c_str(), removed.c_str()) != 0) {
    if (errno == ENOENT) return;
    throw io_error("cannot take over " + path.string());
  }
  const std::string taken = read_file(removed, kSmallFileBytes);
  if (taken != content) static_cast<void>(::link(removed.c_str(), path.c_str()));  // it was a new owner's
  ::unlink(removed.c_str());
  if (taken != content) refuse(folder, "", kWait);
}

void take_by_owner_file(const fs::path& path, const fs::path& folder) {
  if (make_owner_file(path)) return;
  const std::string content = read_file(path, kSmallFileBytes);
  const auto owner = Owner::parse(content);
  if (!owner || owner->host != host_name()) {
    refuse(folder, owner ? owner->name() : "",
           fmt::format("if that process has ended, remove {} and start again", path.string()));
  }
  if (!owner->has_ended()) refuse(folder, owner->name(), kWait);
  remove_stale(path, content, folder);
  if (!make_owner_file(path)) refuse(folder, "", kWait);
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder) {
  const fs::path file = folder / "lock";
  lock_ = FileDescriptor::open(file, O_RDWR | O_CREAT);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) {
    replace_content(lock_, Owner::this_process().name(), file);
    return;
  }
  if (errno == EWOULDBLOCK) refuse(folder, read_file(file, kSmallFileBytes), kWait);
  if (!has_no_locks(errno)) throw io_error("cannot lock " + file.string());
  log::warn("{}: the file system has no locks; the folder is guarded by {} instead", io_error("flock").what(),
            (folder / "owner").string());
  take_by_owner_file(folder / "owner", folder);
  owner_file_ = folder / "owner";
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : lock_(std::move(other.lock_)), owner_file_(std::exchange(other.owner_file_, {})) {}

FolderLock::~FolderLock() {
  if (!owner_file_.empty()) ::unlink(owner_file_.c_str());
}

}  // namespace troupe::coordinator
