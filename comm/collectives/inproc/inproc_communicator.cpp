#include "comm/collectives/inproc/inproc_communicator.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/index.h"
#include "base/progress.h"
#include "comm/collectives/byte_blocks.h"
#include "comm/collectives/inproc/inproc_group.h"
#include "comm/collectives/operation_pool.h"

namespace troupe::comm {
namespace {

using detail::block_of;
using detail::Contribution;
using detail::InprocGroup;
using Values = std::vector<std::int64_t>;
/// What was wrong with the peers' contributions, if anything.
using Mismatch = std::optional<std::string>;

/// Reads the contributions of a fully posted round.
Mismatch read(InprocGroup& group, std::int64_t number,
              const std::function<Mismatch(const InprocGroup::Reading&)>& body) {
  const InprocGroup::Reading reading(group, number);
  return body(reading);
}

Mismatch copy_block(std::string_view operation, int from_rank, std::span<const std::byte> from, int to_rank,
                    std::span<std::byte> to) {
  if (from.size() != to.size()) {
    return fmt::format("{}: rank {} sends {} bytes to rank {}, which expects {}", operation, from_rank,
                       from.size(), to_rank, to.size());
  }
  detail::copy_bytes(from, to);
  return std::nullopt;
}

/// All-to-all and all-gather: blocks that are read from the peers' own memory. Not complete after it threw:
/// the group has failed.
class BlockExchange final : public Pending::Operation {
 public:
  BlockExchange(InprocGroup& group, int rank) : group_(group), rank_(rank) {}

  [[nodiscard]] bool complete() const { return complete_; }

  /// It must be complete.
  void start(std::int64_t number, std::string_view operation, ReceiveBlocks receive,
             Contribution contribution, bool gather) {
    detail::find_block_offsets(operation, receive.bytes, group_.size(), receive.data.size(), offsets_);
    number_ = number;
    operation_ = operation;
    data_ = receive.data;
    gather_ = gather;
    group_.post(number_, rank_, operation_, std::move(contribution));
    complete_ = read_ = false;
  }

  bool progress() override {
    if (!read_ && group_.all_posted(number_)) read_blocks();
    complete_ = read_ && group_.all_finished(number_);
    return complete_;
  }

  void wait() override {
    // A thread that throws cannot know that its peers will still come to this operation.
    if (std::uncaught_exceptions() > 0) return abandon();
    if (!read_) {
      group_.wait_posted(number_);
      read_blocks();
    }
    group_.wait_finished(number_);
    complete_ = true;
  }

 private:
  void read_blocks() {
    const Mismatch mismatch = read(group_, number_, [&](const InprocGroup::Reading& reading) -> Mismatch {
      for (int step = 0; step < group_.size(); ++step) {
        const int peer = (rank_ + step) % group_.size();  // each rank begins elsewhere
        const Contribution& from = reading.of(peer);
        const auto block = block_of(from.data, from.offsets, gather_ ? 0 : rank_);
        if (auto wrong = copy_block(operation_, peer, block, rank_, block_of(data_, offsets_, peer)))
          return wrong;
      }
      return std::nullopt;
    });
    if (mismatch) group_.fail(number_, ErrorCode::kInternal, *mismatch);
    group_.finish(number_);
    read_ = true;
  }

  void abandon() {
    group_.abandon(number_, fmt::format("rank {} of {} failed during {} (operation {} of its group)", rank_,
                                        group_.size(), operation_, number_));
    complete_ = true;
  }

  InprocGroup& group_;
  int rank_;
  std::int64_t number_ = 0;
  std::string_view operation_;
  std::span<std::byte> data_;
  std::vector<std::int64_t> offsets_;
  bool gather_ = false;
  bool read_ = false;
  bool complete_ = true;
};

class InprocCommunicator final : public Communicator {
 public:
  InprocCommunicator(std::shared_ptr<InprocGroup> group, int rank) : group_(std::move(group)), rank_(rank) {}
  ~InprocCommunicator() override { group_->leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }
  std::string_view backend() const override { return "inproc"; }

  Pending start_all_to_all_v(SendBlocks send, ReceiveBlocks receive) override {
    constexpr std::string_view kOperation = "all_to_all_v";
    Contribution mine{.data = send.data, .offsets = {}, .values = {}};
    detail::find_block_offsets(kOperation, send.bytes, size(), send.data.size(), mine.offsets);
    return Pending(start(kOperation, receive, std::move(mine), /*gather=*/false));
  }

  void all_gather_v(std::span<const std::byte> mine, ReceiveBlocks receive) override {
    Contribution contribution{
        .data = mine, .offsets = {0, static_cast<std::int64_t>(mine.size())}, .values = {}};
    const progress::CollectiveScope scope("all_gather_v");
    start("all_gather_v", receive, std::move(contribution), /*gather=*/true).wait();
  }

  void all_reduce_sum(std::span<std::int64_t> values) override {
    all_reduce("all_reduce_sum", values, std::plus<>());
  }

  void all_reduce_max(std::span<std::int64_t> values) override {
    all_reduce("all_reduce_max", values, [](std::int64_t a, std::int64_t b) { return std::max(a, b); });
  }

  void broadcast(std::span<std::byte> data, int root) override;

  void barrier() override {
    exchange("barrier", {}, [](const InprocGroup::Reading&) -> Mismatch { return std::nullopt; });
  }

  std::vector<int> hosts() override { return std::vector<int>(at(size()), 0); }

  std::unique_ptr<Communicator> split(int color, int key) override;

 private:
  BlockExchange& start(std::string_view operation, ReceiveBlocks receive, Contribution mine, bool gather) {
    BlockExchange& exchange = exchanges_.idle(*group_, rank_);
    exchange.start(next_number_, operation, receive, std::move(mine), gather);
    ++next_number_;
    return exchange;
  }

  /// A blocking collective: posts, and reads when all are there.
  void exchange(std::string_view operation, Contribution mine,
                const std::function<Mismatch(const InprocGroup::Reading&)>& body) {
    const progress::CollectiveScope scope(operation.data());  // a constant
    const std::int64_t number = next_number_++;
    group_->post(number, rank_, operation, std::move(mine));
    group_->wait_posted(number);
    if (const Mismatch mismatch = read(*group_, number, body)) {
      group_->fail(number, ErrorCode::kInternal, *mismatch);
    }
    group_->finish(number);
  }

  template <class Combine>
  void all_reduce(std::string_view operation, std::span<std::int64_t> values, const Combine& combine);

  std::shared_ptr<InprocGroup> group_;  // the ranks' threads share it; the last one frees it
  int rank_;
  std::int64_t next_number_ = 0;
  detail::OperationPool<BlockExchange> exchanges_;
};

template <class Combine>
void InprocCommunicator::all_reduce(std::string_view operation, std::span<std::int64_t> values,
                                    const Combine& combine) {
  if (size() == 1) return;
  Contribution mine{.data = {}, .offsets = {}, .values = Values(values.begin(), values.end())};
  exchange(operation, std::move(mine), [&](const InprocGroup::Reading& reading) -> Mismatch {
    for (int peer = 0; peer < size(); ++peer) {
      const Values& theirs = reading.of(peer).values;
      if (theirs.size() != values.size()) {
        return fmt::format("{}: rank {} has {} values, rank {} has {}", operation, peer, theirs.size(), rank_,
                           values.size());
      }
      if (peer != rank_)
        std::transform(values.begin(), values.end(), theirs.begin(), values.begin(), combine);
    }
    return std::nullopt;
  });
}

void InprocCommunicator::broadcast(std::span<std::byte> data, int root) {
  TROUPE_CHECK(root >= 0 && root < size(), "broadcast from rank {} of {}", root, size());
  const auto bytes = static_cast<std::int64_t>(data.size());
  Contribution mine{.data = data, .offsets = {0, bytes}, .values = {}, .root = root};
  const std::int64_t number = next_number_;
  exchange("broadcast", std::move(mine), [&](const InprocGroup::Reading& reading) -> Mismatch {
    for (int peer = 0; peer < size(); ++peer) {
      if (const int other = reading.of(peer).root; other != root)
        return fmt::format("broadcast: rank {} names root {}, rank {} root {}", peer, other, rank_, root);
    }
    if (rank_ == root) return std::nullopt;
    return copy_block("broadcast", root, reading.of(root).data, rank_, data);
  });
  if (rank_ == root) group_->wait_finished(number);  // the peers read from `data`
}

std::unique_ptr<Communicator> InprocCommunicator::split(int color, int key) {
  TROUPE_CHECK(color >= 0, "split: color {} of rank {}", color, rank_);
  std::shared_ptr<InprocGroup> group;
  int rank = 0;
  const std::int64_t number = next_number_;
  exchange("split", {.data = {}, .offsets = {}, .values = {color, key}},
           [&](const auto& reading) -> Mismatch {
             int members = 0;
             for (int peer = 0; peer < size(); ++peer) {
               const Values& theirs = reading.of(peer).values;
               if (theirs[0] != color) continue;
               ++members;
               if (theirs[1] < key || (theirs[1] == key && peer < rank_)) ++rank;
             }
             group = group_->child(number, color, members);
             return std::nullopt;
           });
  return std::make_unique<InprocCommunicator>(std::move(group), rank);
}

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_inproc_group(int size) {
  TROUPE_CHECK(size >= 1, "a group of {} ranks", size);
  const auto group = std::make_shared<InprocGroup>(size);
  std::vector<std::unique_ptr<Communicator>> communicators;
  for (int rank = 0; rank < size; ++rank)
    communicators.push_back(std::make_unique<InprocCommunicator>(group, rank));
  return communicators;
}

}  // namespace troupe::comm
