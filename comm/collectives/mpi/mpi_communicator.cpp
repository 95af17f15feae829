#include <mpi.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "comm/collectives/byte_blocks.h"
#include "comm/collectives/mpi/mpi_check.h"
#include "comm/collectives/mpi/mpi_environment.h"

namespace troupe::comm {
namespace {

using detail::block_of;
using detail::check_mpi;

constexpr std::size_t kMessageBytes = std::size_t{1} << 30;  // MPI counts in int
constexpr int kTag = 1;

/// Blocks travel as messages of at most kMessageBytes; an empty block is one empty message, so that a
/// size that only one side believes in is noticed and not waited for.
template <class Byte, class Post>
void for_each_message(std::span<Byte> block, const Post& post) {
  do {
    const auto message = block.first(std::min(block.size(), kMessageBytes));
    post(message.data(), static_cast<int>(message.size()));
    block = block.subspan(message.size());
  } while (!block.empty());
}

/// A block for every peer and one from every peer, pairwise: as fast as MPI_Ialltoallv at the sizes of
/// a step, without its int offsets, and it says which peer sent something unexpected.
class PairwiseExchange final : public Pending::Operation {
 public:
  PairwiseExchange(MPI_Comm communicator, std::string_view operation)
      : communicator_(communicator), operation_(operation) {}
  ~PairwiseExchange() override { cancel(); }

  void receive_from(int peer, std::span<std::byte> block) {
    for_each_message(block, [&](std::byte* data, int bytes) {
      expected_.push_back({peer, bytes});
      check_mpi(MPI_Irecv(data, bytes, MPI_BYTE, peer, kTag, communicator_, &new_request()),
                what("MPI_Irecv", peer));
    });
  }
  /// After all receive_from().
  void send_to(int peer, std::span<const std::byte> block) {
    for_each_message(block, [&](const std::byte* data, int bytes) {
      check_mpi(MPI_Isend(data, bytes, MPI_BYTE, peer, kTag, communicator_, &new_request()),
                what("MPI_Isend", peer));
    });
  }

  // Messages are completed one by one: Open MPI 4.1's MPI_Waitall can spin for ever after an error.
  bool progress() override {
    while (completed_ < requests_.size()) {
      int complete = 0;
      MPI_Status status{};
      const int code = MPI_Test(&requests_[completed_], &complete, &status);
      if (code == MPI_SUCCESS && complete == 0) return false;
      note(code, status);
    }
    throw_failure();
    return true;
  }

  void wait() override {
    while (completed_ < requests_.size()) {
      MPI_Status status{};
      const int code = MPI_Wait(&requests_[completed_], &status);
      note(code, status);
    }
    throw_failure();
  }

 private:
  struct Message {
    int peer;
    int bytes;
  };

  MPI_Request& new_request() { return requests_.emplace_back(MPI_REQUEST_NULL); }
  [[nodiscard]] std::string what(const char* function, int peer) const {
    return fmt::format("{} ({} with rank {})", operation_, function, peer);
  }

  /// The next message is complete. A failure waits for the other messages, which are still under way.
  void note(int code, const MPI_Status& status) {
    const std::size_t index = completed_++;
    if (failure_) return;
    try {
      check(index, code, status);
    } catch (const Error& error) {
      failure_ = error;
    }
  }

  void check(std::size_t index, int code, const MPI_Status& status) const {
    if (index >= expected_.size()) return check_mpi(code, fmt::format("{}: sending", operation_));
    const auto [peer, expected] = expected_[index];
    check_mpi(code, fmt::format("{}: receiving {} bytes from rank {}", operation_, expected, peer));
    int bytes = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
    TROUPE_CHECK(bytes == expected, "{}: rank {} sends {} bytes, {} were expected", operation_, peer, bytes,
                 expected);
  }

  void throw_failure() const {
    if (failure_) throw Error(*failure_);
  }

  /// After a failure to start: MPI must not write into buffers that are about to go.
  void cancel() {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      if (i < expected_.size() && MPI_Cancel(&requests_[i]) != MPI_SUCCESS)
        log::error("{}: MPI_Cancel failed", operation_);
      if (MPI_Request_free(&requests_[i]) != MPI_SUCCESS)
        log::error("{}: MPI_Request_free failed", operation_);
    }
  }

  MPI_Comm communicator_;
  std::string_view operation_;
  std::vector<MPI_Request> requests_;  // receives, then sends
  std::vector<Message> expected_;      // of the receives
  std::size_t completed_ = 0;          // requests
  std::optional<Error> failure_;
};

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
    const auto sent = detail::block_offsets(kOperation, send.bytes, size_, send.data.size());
    return Pending(exchange(kOperation, receive, [&](int peer) { return block_of(send.data, sent, peer); }));
  }

  void all_gather_v(std::span<const std::byte> mine, ReceiveBlocks receive) override {
    exchange("all_gather_v", receive, [&](int) { return mine; })->wait();
  }

  void all_reduce_sum(std::span<std::int64_t> values) override {
    all_reduce("all_reduce_sum", values, MPI_SUM);
  }
  void all_reduce_max(std::span<std::int64_t> values) override {
    all_reduce("all_reduce_max", values, MPI_MAX);
  }

  void broadcast(std::span<std::byte> data, int root) override {
    for_each_message(data, [&](std::byte* bytes, int count) {
      check_mpi(MPI_Bcast(bytes, count, MPI_BYTE, root, communicator_), "broadcast");
    });
  }

  void barrier() override { check_mpi(MPI_Barrier(communicator_), "barrier"); }

  /// Ranks that can share memory are on one host; its smallest rank names it.
  std::vector<int> hosts() override {
    MPI_Comm host = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(communicator_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host), "hosts");
    int first = rank_;
    check_mpi(MPI_Bcast(&first, 1, MPI_INT, 0, host), "hosts");
    check_mpi(MPI_Comm_free(&host), "MPI_Comm_free");
    std::vector<int> first_rank(static_cast<std::size_t>(size_));
    check_mpi(MPI_Allgather(&first, 1, MPI_INT, first_rank.data(), 1, MPI_INT, communicator_), "hosts");
    std::vector<int> hosts(first_rank.size());
    int count = 0;
    for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
      const auto named = static_cast<std::size_t>(first_rank[rank]);
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
  std::unique_ptr<PairwiseExchange> exchange(std::string_view operation, ReceiveBlocks receive,
                                             const Block& block) {
    const auto received = detail::block_offsets(operation, receive.bytes, size_, receive.data.size());
    const auto mine = block_of(receive.data, received, rank_);
    TROUPE_CHECK(block(rank_).size() == mine.size(), "{}: rank {} sends {} bytes to itself and expects {}",
                 operation, rank_, block(rank_).size(), mine.size());
    auto exchange = std::make_unique<PairwiseExchange>(communicator_, operation);
    for (int step = 1; step < size_; ++step) {
      const int peer = (rank_ - step + size_) % size_;
      exchange->receive_from(peer, block_of(receive.data, received, peer));
    }
    for (int step = 1; step < size_; ++step) {  // each rank begins with another peer
      const int peer = (rank_ + step) % size_;
      exchange->send_to(peer, block(peer));
    }
    detail::copy_bytes(block(rank_), mine);
    return exchange;
  }

  void all_reduce(const char* operation, std::span<std::int64_t> values, MPI_Op op) {
    const auto count = static_cast<int>(std::min(values.size(), kMessageBytes));
    TROUPE_CHECK(static_cast<std::size_t>(count) == values.size(), "{}: {} values are too many", operation,
                 values.size());
    if (count == 0) return;
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), count, MPI_INT64_T, op, communicator_), operation);
  }

  MPI_Comm communicator_;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const MpiEnvironment&) {
  MPI_Comm all = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &all), "MPI_Comm_dup");
  return std::make_unique<MpiCommunicator>(all);
}

}  // namespace troupe::comm
