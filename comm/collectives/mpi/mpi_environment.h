#pragma once
#include <memory>

#include "comm/collectives/communicator.h"

namespace troupe::comm {

/// MPI of this process, from construction to destruction: at most one, ever, made by the main thread,
/// which stays the only one that calls MPI. Destroying it waits for all processes of the job; while an
/// exception unwinds it does not, and the launcher ends the job when this process exits.
class MpiEnvironment {
 public:
  MpiEnvironment();  // throws kInternal when MPI cannot start
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  [[nodiscard]] int rank() const { return rank_; }  // among all processes of the job
  [[nodiscard]] int size() const { return size_; }

  /// Ends every process of the job; `code` becomes the launcher's exit code.
  [[noreturn]] static void abort(int code);

  /// Whether an MPI launcher (mpirun, or srun with PMIx) started this process. Before construction.
  [[nodiscard]] static bool launched_by_mpi();

 private:
  int exceptions_at_start_;
  int rank_ = 0;
  int size_ = 1;
};

/// All processes of the job. Collective; `environment` must outlive what is returned. In classic mode
/// rank 0 is the coordinator: split(rank == 0 ? 0 : 1, rank) gives the workers' group.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator(const MpiEnvironment& environment);

}  // namespace troupe::comm
