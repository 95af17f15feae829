#pragma once
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "comm/collectives/communicator.h"

namespace troupe::experts {

/// What all ranks of a group send to ranks of other nodes.
struct Traffic {
  std::atomic<std::int64_t> messages = 0;
  std::atomic<std::int64_t> bytes = 0;
  std::atomic<std::int64_t> reductions = 0;  // of integers, by every rank, in groups of two and more
  std::atomic<std::int64_t> reduced_bytes = 0;
};

/// Counts what leaves a node and hands everything on; groups that are split off count to the same.
class CountingCommunicator final : public comm::Communicator {
 public:
  /// node_of: [size]
  CountingCommunicator(comm::Communicator& inner, std::vector<int> node_of, Traffic& traffic)
      : inner_(inner), node_of_(std::move(node_of)), traffic_(traffic) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string_view backend() const override { return inner_.backend(); }
  comm::Pending start_all_to_all_v(comm::SendBlocks send, comm::ReceiveBlocks receive) override {
    for (int peer = 0; peer < size(); ++peer) count(peer, send.bytes[static_cast<std::size_t>(peer)]);
    return inner_.start_all_to_all_v(send, receive);
  }
  void all_gather_v(std::span<const std::byte> mine, comm::ReceiveBlocks receive) override {
    for (int peer = 0; peer < size(); ++peer) count(peer, std::ssize(mine));
    inner_.all_gather_v(mine, receive);
  }
  void all_reduce_sum(std::span<std::int64_t> values) override {
    if (size() > 1) {
      ++traffic_.reductions;
      traffic_.reduced_bytes += static_cast<std::int64_t>(values.size_bytes());
    }
    inner_.all_reduce_sum(values);
  }
  void all_reduce_max(std::span<std::int64_t> values) override { inner_.all_reduce_max(values); }
  void broadcast(std::span<std::byte> data, int root) override { inner_.broadcast(data, root); }
  void barrier() override { inner_.barrier(); }
  std::vector<int> hosts() override { return node_of_; }
  std::unique_ptr<comm::Communicator> split(int color, int key) override {
    std::vector<std::int64_t> members(static_cast<std::size_t>(size()), 0);
    members[static_cast<std::size_t>(rank())] = color + 1;
    inner_.all_reduce_sum(members);
    auto part = inner_.split(color, key);
    std::vector<int> nodes;
    for (int peer = 0; peer < size(); ++peer) {
      if (members[static_cast<std::size_t>(peer)] == color + 1)
        nodes.push_back(node_of_[static_cast<std::size_t>(peer)]);
    }
    return std::make_unique<CountingCommunicator>(std::move(part), std::move(nodes), traffic_);
  }

  CountingCommunicator(std::unique_ptr<comm::Communicator> part, std::vector<int> node_of, Traffic& traffic)
      : owned_(std::move(part)), inner_(*owned_), node_of_(std::move(node_of)), traffic_(traffic) {}

 private:
  /// An empty block is a message, too.
  void count(int peer, std::int64_t bytes) {
    if (node_of_[static_cast<std::size_t>(peer)] == node_of_[static_cast<std::size_t>(rank())]) return;
    ++traffic_.messages;
    traffic_.bytes += bytes;
  }

  std::unique_ptr<comm::Communicator> owned_;
  comm::Communicator& inner_;
  std::vector<int> node_of_;
  Traffic& traffic_;
};

}  // namespace troupe::experts
