#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

namespace troupe::coordinator {

/// What a worker job has on this machine besides its processes: folders for what MPI keeps in files and in
/// shared memory, which MPI leaves behind when it is killed; and a record in the run's folder by which a
/// later coordinator finds all of it, processes too, should this one be killed. Removed by the destructor:
/// after the job's last process.
class JobTraces {
 public:
  /// token: see comm::JoinRequested::job. Throws kIo when the record cannot be written.
  JobTraces(const std::filesystem::path& run_folder, const std::string& token);
  ~JobTraces();
  JobTraces(const JobTraces&) = delete;
  JobTraces& operator=(const JobTraces&) = delete;

  /// For MPI's files, and for its shared memory; empty when there is no room for them: then MPI chooses.
  [[nodiscard]] const std::filesystem::path& files() const { return files_; }
  [[nodiscard]] const std::filesystem::path& shared_memory() const { return shared_memory_; }

 private:
  std::filesystem::path record_;
  std::filesystem::path files_;
  std::filesystem::path shared_memory_;
};

/// Ends the processes of the job that the run's folder still has a record of, and removes its folders: the
/// coordinator that started it is gone. Under the run folder's lock. Returns how many processes there were.
/// On another machine than the job's nothing can be done: that is logged.
std::size_t end_leftover_job(const std::filesystem::path& run_folder);

}  // namespace troupe::coordinator
