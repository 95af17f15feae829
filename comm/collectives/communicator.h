#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::comm {

/// A collective that was started. wait() or the destructor completes it; progress() may be called
/// any number of times between pieces of computation, and moves bytes while they compute.
class Pending {
 public:
  /// What is under way. It belongs to whoever started it and may be used for another collective once it
  /// is complete, so that starting one need not allocate.
  class Operation {
   public:
    virtual ~Operation() = default;
    virtual bool progress() = 0;  // true when complete
    virtual void wait() = 0;
  };

  Pending() = default;  // nothing to wait for
  /// operation: lives until it is complete
  explicit Pending(Operation& operation) : operation_(&operation) {}
  Pending(Pending&& other) noexcept : operation_(std::exchange(other.operation_, nullptr)) {}
  Pending& operator=(Pending&& other) noexcept;  // completes what it held
  ~Pending();                                    // completes; logs a failure

  /// True when nothing is left to wait for. Throws as wait() does.
  bool progress();
  /// Throws kPeerLost when a peer is gone.
  void wait();

 private:
  Operation* operation_ = nullptr;
};

/// Bytes for every rank, one block after another, rank ascending. Blocks may be empty.
struct SendBlocks {
  std::span<const std::byte> data;
  std::span<const std::int64_t> bytes;  // [size]
};
struct ReceiveBlocks {
  std::span<std::byte> data;
  std::span<const std::int64_t> bytes;  // [size]
};

/// Collectives between the workers of one group. All ranks call the same operations in the same
/// order, with sizes that match; the sums it offers are of integers only, since they are exact in
/// every order (floating-point sums between workers are made by lane_reduction.h). Used from one thread per
/// rank, the compute thread. Errors: kPeerLost when a peer is gone, kInternal when the sizes that two
/// ranks state do not match (it names operation, ranks and sizes; MPI detects it for all_to_all_v and
/// all_gather_v, on the receiving rank). After an error the communicator can only be destroyed.
class Communicator {
 public:
  virtual ~Communicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  [[nodiscard]] virtual std::string_view backend() const = 0;

  /// Rank r's block for this rank arrives as block r. The buffers stay untouched until it completes.
  [[nodiscard]] virtual Pending start_all_to_all_v(SendBlocks send, ReceiveBlocks receive) = 0;
  void all_to_all_v(SendBlocks send, ReceiveBlocks receive) { start_all_to_all_v(send, receive).wait(); }

  /// Every rank's block reaches every rank, in rank order; bytes: [size], bytes[rank()] == mine.size().
  virtual void all_gather_v(std::span<const std::byte> mine, ReceiveBlocks receive) = 0;

  virtual void all_reduce_sum(std::span<std::int64_t> values) = 0;
  virtual void all_reduce_max(std::span<std::int64_t> values) = 0;
  virtual void broadcast(std::span<std::byte> data, int root) = 0;
  virtual void barrier() = 0;

  /// The host of every rank, [size], numbered 0, 1, … by their first ranks. Collective.
  [[nodiscard]] virtual std::vector<int> hosts() = 0;

  /// Ranks with the same color >= 0 form a group, ordered by key, then rank. Collective.
  [[nodiscard]] virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
};

}  // namespace troupe::comm
