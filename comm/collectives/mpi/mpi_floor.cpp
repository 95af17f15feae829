#include "comm/collectives/mpi/mpi_floor.h"

#include <mpi.h>

#include <numeric>
#include <vector>

#include "base/log.h"
#include "comm/collectives/mpi/mpi_check.h"

namespace troupe::comm {
namespace {

using detail::check_mpi;

/// Sizes of blocks that follow each other, as MPI wants them.
struct Blocks {
  std::vector<int> counts, offsets;

  void set(std::span<const std::int64_t> bytes) {
    counts.assign(bytes.begin(), bytes.end());
    offsets.resize(counts.size());
    std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
  }
};

}  // namespace

struct MpiFloor::Handle {
  MPI_Comm communicator = MPI_COMM_NULL;
  Blocks sent, received;
};

MpiFloor::MpiFloor(const MpiEnvironment&) : handle_(std::make_unique<Handle>()) {
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &handle_->communicator), "MPI_Comm_dup");
}

MpiFloor::~MpiFloor() {
  const int code = MPI_Comm_free(&handle_->communicator);
  if (code != MPI_SUCCESS) log::error("MPI_Comm_free: {}", detail::mpi_message(code));
}

void MpiFloor::all_to_all_v(SendBlocks send, ReceiveBlocks receive) {
  auto& [communicator, sent, received] = *handle_;
  sent.set(send.bytes);
  received.set(receive.bytes);
  check_mpi(
      MPI_Alltoallv(send.data.data(), sent.counts.data(), sent.offsets.data(), MPI_BYTE, receive.data.data(),
                    received.counts.data(), received.offsets.data(), MPI_BYTE, communicator),
      "MPI_Alltoallv");
}

void MpiFloor::all_gather_v(std::span<const std::byte> mine, ReceiveBlocks receive) {
  auto& received = handle_->received;
  received.set(receive.bytes);
  check_mpi(MPI_Allgatherv(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, receive.data.data(),
                           received.counts.data(), received.offsets.data(), MPI_BYTE, handle_->communicator),
            "MPI_Allgatherv");
}

void MpiFloor::reduce_scatter(std::span<const float> values, std::span<float> total) {
  check_mpi(MPI_Reduce_scatter_block(values.data(), total.data(), static_cast<int>(total.size()), MPI_FLOAT,
                                     MPI_SUM, handle_->communicator),
            "MPI_Reduce_scatter_block");
}

}  // namespace troupe::comm
