#include "coordinator/job/job_traces.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "comm/control/link/run_files.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kRecordBytes = 65536;
constexpr std::string_view kPrefix = "troupe-";
constexpr std::chrono::milliseconds kPollInterval{10};
constexpr int kPolls = 500;  // then a process is stuck in the kernel

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

/// A new folder of this user's; empty when none can be made there.
fs::path make_folder(const fs::path& parent) {
  std::string path = (parent / (std::string(kPrefix) + "XXXXXX")).string();
  return ::mkdtemp(path.data()) == nullptr ? fs::path() : fs::path(path);
}

fs::path temporary_folder() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  return error ? fs::path() : folder;
}

void remove_folder(const fs::path& folder) {
  if (folder.empty()) return;
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) log::warn("{} could not be removed: {}", folder.string(), error.message());
}

/// Whether a process was given this token. What cannot be read is no process of this user's.
bool belongs_to_job(pid_t process, const std::string& token) {
  std::ifstream file("/proc/" + std::to_string(process) + "/environ", std::ios::binary);
  const std::string wanted = std::string(comm::kJobVariable) + "=" + token;
  for (std::string variable; std::getline(file, variable, '\0');)
    if (variable == wanted) return true;
  return false;
}

/// By system calls: glibc 2.36 declares its functions for C only.
FileDescriptor open_process(pid_t process) {
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

/// One that is gone already is no failure.
void kill_process(const FileDescriptor& process) {
  static_cast<void>(::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0));
}

/// Processes of the job, by descriptors: those mean no later process of the same number.
std::vector<FileDescriptor> processes_of(const std::string& token) {
  std::vector<FileDescriptor> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t process = std::atoi(entry.path().filename().c_str());
    if (process <= 0 || process == ::getpid()) continue;
    FileDescriptor handle = open_process(process);
    if (handle.valid() && belongs_to_job(process, token)) found.push_back(std::move(handle));
  }
  return found;
}

std::size_t end_processes(const std::string& token) {
  std::vector<FileDescriptor> processes = processes_of(token);
  const std::size_t count = processes.size();
  for (int poll = 0; poll < kPolls && !processes.empty(); ++poll) {
    for (const FileDescriptor& process : processes) kill_process(process);
    std::this_thread::sleep_for(kPollInterval);
    processes = processes_of(token);
  }
  if (!processes.empty())
    log::error("a process of an earlier job cannot be ended: it is stuck in the kernel");
  return count;
}

/// Only what a JobTraces can have made, whatever the record says.
bool is_own(const fs::path& folder) {
  const fs::path parent = folder.parent_path();
  return folder.is_absolute() && folder.filename().string().starts_with(kPrefix) &&
         (parent == "/dev/shm" || parent == temporary_folder());
}

fs::path record_in(const fs::path& run_folder) { return run_folder / "job.json"; }

}  // namespace

JobTraces::JobTraces(const fs::path& run_folder, const std::string& token)
    : record_(record_in(run_folder)),
      files_(make_folder(temporary_folder())),
      shared_memory_(make_folder("/dev/shm")) {
  const json record = {
      {"host", host_name()}, {"job", token}, {"folders", {files_.string(), shared_memory_.string()}}};
  write_file_atomically(record_, record.dump(2, ' ', false, json::error_handler_t::replace) + "\n", 0600);
}

JobTraces::~JobTraces() {
  remove_folder(files_);
  remove_folder(shared_memory_);
  ::unlink(record_.c_str());
}

std::size_t end_leftover_job(const fs::path& run_folder) {
  const fs::path file = record_in(run_folder);
  if (!fs::exists(file)) return 0;
  const json record = json::parse(read_file(file, kRecordBytes), nullptr, false);
  std::size_t ended = 0;
  if (!record.is_object() || !record.contains("host") || !record.contains("job")) {
    log::warn("{} does not say what an earlier job left behind", file.string());
  } else if (record["host"] != host_name()) {
    log::warn("the run's last job was started on {}: what may be left of it there is not ended from here",
              record["host"].dump());
  } else {
    if (record["job"].is_string() && !record["job"].get<std::string>().empty())
      ended = end_processes(record["job"].get<std::string>());
    for (const json& folder : record.value("folders", json::array()))
      if (folder.is_string() && is_own(folder.get<std::string>())) remove_folder(folder.get<std::string>());
  }
  ::unlink(file.c_str());
  return ended;
}

}  // namespace troupe::coordinator
