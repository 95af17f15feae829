#pragma once
#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "comm/collectives/communicator.h"

namespace troupe::comm::detail {

constexpr std::size_t kMessageBytes = std::size_t{1} << 30;  // MPI counts in int

/// post(address, bytes) for pieces of at most kMessageBytes; once for an empty block.
template <class Byte, class Post>
void for_each_message(std::span<Byte> block, const Post& post) {
  do {
    const auto message = block.first(std::min(block.size(), kMessageBytes));
    post(message.data(), static_cast<int>(message.size()));
    block = block.subspan(message.size());
  } while (!block.empty());
}

/// A block for every peer and one from every peer, each its own message: as fast as MPI_Alltoallv or
/// faster (`troupe bench all-to-all`), without its int offsets, and it says which peer sent something
/// unexpected. Used again and again: once it has seen the largest exchange, it allocates nothing.
///
/// Send before you receive: MPI copies a block that its sender has announced already inside MPI_Irecv,
/// and a rank that had not announced its own blocks by then would keep its peers waiting for that long.
class PairwiseExchange final : public Pending::Operation {
 public:
  explicit PairwiseExchange(MPI_Comm communicator) : communicator_(communicator) {}

  /// Whether nothing is under way.
  [[nodiscard]] bool complete() const { return completed_ == messages_.size(); }

  /// Begins anew; it must be complete. When one of the next two throws, cancel().
  void begin(std::string_view operation);
  void send_to(int peer, std::span<const std::byte> block);
  void receive_from(int peer, std::span<std::byte> block);
  /// After a failure to start: MPI must not write into buffers that are about to go. Then it is complete.
  void cancel() noexcept;

  bool progress() override;
  void wait() override;

 private:
  struct Message {
    MPI_Request request;
    int peer;
    int bytes;
    bool arrives;
  };

  Message& add(int peer, int bytes, bool arrives);
  void note(int code, const MPI_Status& status);
  void check(const Message& message, int code, const MPI_Status& status) const;
  void throw_failure() const;

  MPI_Comm communicator_;
  std::string_view operation_;
  std::vector<Message> messages_;
  std::size_t completed_ = 0;  // messages, from the first
  std::optional<Error> failure_;
};

}  // namespace troupe::comm::detail
