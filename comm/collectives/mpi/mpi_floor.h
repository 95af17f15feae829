#pragma once
#include <memory>
#include <span>

#include "comm/collectives/communicator.h"
#include "comm/collectives/mpi/mpi_environment.h"

namespace troupe::comm {

/// MPI's own collectives between all processes of the job, with nothing of ours around them: what
/// `troupe bench all-to-all` compares with. Blocks of at most 2 GiB in all; errors as of a Communicator.
class MpiFloor {
 public:
  /// Collective; `environment` must outlive it.
  explicit MpiFloor(const MpiEnvironment& environment);
  ~MpiFloor();
  MpiFloor(const MpiFloor&) = delete;
  MpiFloor& operator=(const MpiFloor&) = delete;

  void all_to_all_v(SendBlocks send, ReceiveBlocks receive);                  // MPI_Alltoallv
  void all_gather_v(std::span<const std::byte> mine, ReceiveBlocks receive);  // MPI_Allgatherv
  /// total: this rank's block of the sums over ranks, of equal blocks.  values: [size * total.size()]
  void reduce_scatter(std::span<const float> values, std::span<float> total);  // MPI_Reduce_scatter_block

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace troupe::comm
