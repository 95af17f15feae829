#include <mpi.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/index.h"
#include "base/log.h"
#include "base/progress.h"
#include "comm/collectives/byte_blocks.h"
#include "comm/collectives/mpi/mpi_check.h"
#include "comm/collectives/mpi/mpi_environment.h"
#include "comm/collectives/mpi/pairwise_exchange.h"
#include "comm/collectives/operation_pool.h"

namespace troupe::comm {
namespace {

using detail::block_of;
using detail::check_mpi;
using detail::for_each_message;
using detail::PairwiseExchange;

class MpiCommunicator final : public Communicator {
 public:
  /// Takes over `communicator`.
  explicit MpiCommunicator(MPI_Comm communicator) : communicator_(communicator) {
    check_mpi(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(communicator_, &size_), "MPI_Comm_size");
  }
  ~MpiCommunicator() override {
    if (std::uncaught_exceptions() > 0) return;  // freeing is collective, and the peers may not come
    const int code = MPI_Comm_free(&communicator_);
    if (code != MPI_SUCCESS) log::error("MPI_Comm_free: {}", detail::mpi_message(code));
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string_view backend() const override { return "mpi"; }

  Pending start_all_to_all_v(SendBlocks send, ReceiveBlocks receive) override {
    constexpr std::string_view kOperation = "all_to_all_v";
    detail::find_block_offsets(kOperation, send.bytes, size_, send.data.size(), sent_);
    return Pending(start(kOperation, receive, [&](int peer) { return block_of(send.data, sent_, peer); }));
  }

  void all_gather_v(std::span<const std::byte> mine, ReceiveBlocks receive) override {
    const progress::CollectiveScope scope("all_gather_v");
    start("all_gather_v", receive, [&](int) { return mine; }).wait();
  }

  void all_reduce_sum(std::span<std::int64_t> values) override {
    all_reduce("all_reduce_sum", values, MPI_SUM);
  }
  void all_reduce_max(std::span<std::int64_t> values) override {
    all_reduce("all_reduce_max", values, MPI_MAX);
  }

  void broadcast(std::span<std::byte> data, int root) override {
    const progress::CollectiveScope scope("broadcast");
    for_each_message(data, [&](std::byte* bytes, int count) {
      check_mpi(MPI_Bcast(bytes, count, MPI_BYTE, root, communicator_), "broadcast");
    });
  }

  void barrier() override {
    const progress::CollectiveScope scope("barrier");
    check_mpi(MPI_Barrier(communicator_), "barrier");
  }

  /// Ranks that can share memory are on one host; its smallest rank names it.
  std::vector<int> hosts() override {
    MPI_Comm host = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(communicator_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host), "hosts");
    int first = rank_;
    check_mpi(MPI_Bcast(&first, 1, MPI_INT, 0, host), "hosts");
    check_mpi(MPI_Comm_free(&host), "MPI_Comm_free");
    std::vector<int> first_rank(at(size_));
    check_mpi(MPI_Allgather(&first, 1, MPI_INT, first_rank.data(), 1, MPI_INT, communicator_), "hosts");
    std::vector<int> hosts(first_rank.size());
    int count = 0;
    for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
      const auto named = at(first_rank[rank]);
      hosts[rank] = named == rank ? count++ : hosts[named];
    }
    return hosts;
  }

  std::unique_ptr<Communicator> split(int color, int key) override {
    TROUPE_CHECK(color >= 0, "split: color {} of rank {}", color, rank_);
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(communicator_, color, key, &part), "split");
    return std::make_unique<MpiCommunicator>(part);
  }

 private:
  /// block(peer): what this rank sends to `peer`.
  template <class Block>
  PairwiseExchange& start(std::string_view operation, ReceiveBlocks receive, const Block& block) {
    detail::find_block_offsets(operation, receive.bytes, size_, receive.data.size(), received_);
    const auto mine = block_of(receive.data, received_, rank_);
    TROUPE_CHECK(block(rank_).size() == mine.size(), "{}: rank {} sends {} bytes to itself and expects {}",
                 operation, rank_, block(rank_).size(), mine.size());
    PairwiseExchange& exchange = exchanges_.idle(communicator_);
    exchange.begin(operation);
    try {
      post(exchange, receive.data, block);
    } catch (...) {
      exchange.cancel();
      throw;
    }
    detail::copy_bytes(block(rank_), mine);
    return exchange;
  }

  template <class Block>
  void post(PairwiseExchange& exchange, std::span<std::byte> received, const Block& block) const {
    for (int step = 1; step < size_; ++step) {  // each rank begins with another peer
      const int peer = (rank_ + step) % size_;
      exchange.send_to(peer, block(peer));
    }
    for (int step = 1; step < size_; ++step) {
      const int peer = (rank_ - step + size_) % size_;
      exchange.receive_from(peer, block_of(received, received_, peer));
    }
  }

  void all_reduce(const char* operation, std::span<std::int64_t> values, MPI_Op op) {
    const auto count = static_cast<int>(std::min(values.size(), detail::kMessageBytes));
    TROUPE_CHECK(at(count) == values.size(), "{}: {} values are too many", operation, values.size());
    if (count == 0) return;
    const progress::CollectiveScope scope(operation);
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), count, MPI_INT64_T, op, communicator_), operation);
  }

  MPI_Comm communicator_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<std::int64_t> sent_, received_;  // [size + 1], block offsets of the exchange that starts
  detail::OperationPool<PairwiseExchange> exchanges_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const MpiEnvironment&) {
  MPI_Comm all = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &all), "MPI_Comm_dup");
  return std::make_unique<MpiCommunicator>(all);
}

}  // namespace troupe::comm
