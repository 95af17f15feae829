#include "experts/dispatch/hierarchical_exchange.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/index.h"

namespace troupe::experts {
namespace {

void copy_rows(ConstTensorView from, std::int64_t from_row, TensorView to, std::int64_t to_row,
               std::int64_t count) {
  if (count == 0) return;
  const auto bytes = bytes_of(from.rows(from_row, count));
  std::memcpy(bytes_of(to.rows(to_row, count)).data(), bytes.data(), bytes.size());
}

}  // namespace

std::vector<int> HierarchicalExchange::destinations(int member) const {
  std::vector<int> found;
  for (int rank = 0; rank < size(); ++rank) {
    if (nodes_.gateway(nodes_.node_of(rank_), rank) == member) found.push_back(rank);
  }
  return found;
}

void HierarchicalExchange::gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) {
  const auto bytes = static_cast<std::int64_t>(mine.size_bytes());
  of_node_.resize(node().size() * mine.size());
  node_bytes_.assign(node().size(), bytes);
  node_communicator_->all_gather_v(std::as_bytes(mine),
                                   {std::as_writable_bytes(std::span(of_node_)), node_bytes_});

  // One rank of each node speaks for it on every rail.
  const auto speaks = [&](int rank) { return nodes_.position(rank) == nodes_.rail(rank); };
  rail_bytes_.clear();
  for (const int rank : rail_) {
    rail_bytes_.push_back(speaks(rank) ? bytes * std::ssize(nodes_.members(nodes_.node_of(rank))) : 0);
  }
  arrived_.resize(all.size());
  const std::span<const std::int32_t> said =
      speaks(rank_) ? std::span<const std::int32_t>(of_node_) : std::span<const std::int32_t>();
  rail_communicator_->all_gather_v(std::as_bytes(said),
                                   {std::as_writable_bytes(std::span(arrived_)), rail_bytes_});
  auto block = arrived_.begin();
  for (const int speaker : rail_) {
    if (!speaks(speaker)) continue;
    for (const int rank : nodes_.members(nodes_.node_of(speaker))) {
      std::copy_n(block, mine.size(), all.begin() + rank * std::ssize(mine));
      block += std::ssize(mine);
    }
  }
}

/// One exchange: `from` → node_out_, packed by member → node_in_ → rail_out_, packed by destination →
/// rail_in_ → `to`, in order.
class HierarchicalExchange::Operation final : public comm::Pending::Operation {
 public:
  explicit Operation(HierarchicalExchange& exchange) : exchange_(exchange) {}

  void start(const Pass& pass, const RowTable& rows, ConstTensorView from, TensorView to) {
    rows_ = rows;
    to_ = to;
    between_nodes_ = false;
    for (Rows* counts : {&node_sent_, &node_received_, &rail_sent_, &rail_received_}) counts->clear();
    const auto allocate = [&](std::int64_t count) {
      return pass.arena.allocate({count, from.columns()}, from.dtype());
    };
    const TensorView node_out = allocate(from.rows());
    pack_for_node(from, node_out);
    node_in_ = allocate(sum(node_received_));
    rail_out_ = allocate(node_in_.rows());
    rail_in_ = allocate(to.rows());
    travelling_ = send(*exchange_.node_communicator_, node_out, node_sent_, node_in_, node_received_);
  }

  bool progress() override {
    if (!travelling_.progress()) return false;
    if (!between_nodes_) {
      start_between_nodes();
      return false;
    }
    put_in_order();
    return true;
  }

  void wait() override {
    travelling_.wait();
    if (!between_nodes_) {
      start_between_nodes();
      travelling_.wait();
    }
    put_in_order();
  }

 private:
  using Rows = std::vector<std::int64_t>;

  static std::int64_t sum(const Rows& rows) {
    return std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  }

  static comm::Pending send(comm::Communicator& communicator, ConstTensorView from, Rows& sent, TensorView to,
                            Rows& received) {
    const std::int64_t row_bytes = from.columns() * size_bytes(from.dtype());
    for (Rows* rows : {&sent, &received}) {
      for (std::int64_t& count : *rows) count *= row_bytes;
    }
    return communicator.start_all_to_all_v({bytes_of(from), sent}, {bytes_of(to), received});
  }

  /// `from` has one block per rank of the group; each member gets those that pass through it.
  void pack_for_node(ConstTensorView from, TensorView out) {
    const int me = exchange_.rank_;
    place_blocks([&](int rank) { return rows_(me, rank); });
    std::int64_t next = 0;
    const auto& members = exchange_.node();
    for (std::size_t member = 0; member < members.size(); ++member) {
      const std::int64_t first = next;
      for (const int destination : exchange_.destinations_[member]) {
        copy_rows(from, first_row_[at(destination)], out, next, rows_(me, destination));
        next += rows_(me, destination);
      }
      node_sent_.push_back(next - first);
      std::int64_t received = 0;
      for (const int destination : mine()) received += rows_(members[member], destination);
      node_received_.push_back(received);
    }
  }

  /// node_in_ has, for each member, a block per destination; each destination gets its blocks.
  void start_between_nodes() {
    const auto& members = exchange_.node();
    next_in_.assign(members.size(), 0);
    for (std::size_t member = 1; member < members.size(); ++member) {
      next_in_[member] = next_in_[member - 1];
      for (const int destination : mine()) next_in_[member] += rows_(members[member - 1], destination);
    }
    std::int64_t next_out = 0;
    for (const int rank : exchange_.rail_) {
      const std::int64_t first = next_out;
      if (std::ranges::binary_search(mine(), rank)) {  // both ascend
        for (std::size_t member = 0; member < members.size(); ++member) {
          const std::int64_t count = rows_(members[member], rank);
          copy_rows(node_in_, next_in_[member], rail_out_, next_out, count);
          next_in_[member] += count;
          next_out += count;
        }
      }
      rail_sent_.push_back(next_out - first);
      rail_received_.push_back(received_through(rank));
    }
    between_nodes_ = true;
    travelling_ = send(*exchange_.rail_communicator_, rail_out_, rail_sent_, rail_in_, rail_received_);
  }

  /// Rows for this rank that pass through `rank` of its rail.
  [[nodiscard]] std::int64_t received_through(int rank) const {
    std::int64_t received = 0;
    for (const int source : sources_through(rank)) received += rows_(source, exchange_.rank_);
    return received;
  }
  [[nodiscard]] std::span<const int> sources_through(int rank) const {
    const Nodes& nodes = exchange_.nodes_;
    const int node = nodes.node_of(rank);
    if (nodes.gateway(node, exchange_.rank_) != rank) return {};
    return nodes.members(node);
  }

  void put_in_order() {
    place_blocks([&](int rank) { return rows_(rank, exchange_.rank_); });
    std::int64_t next = 0;
    for (const int rank : exchange_.rail_) {
      for (const int source : sources_through(rank)) {
        const std::int64_t count = rows_(source, exchange_.rank_);
        copy_rows(rail_in_, next, to_, first_row_[at(source)], count);
        next += count;
      }
    }
  }

  /// first_row_ of one block per rank, in order.
  template <class Count>
  void place_blocks(const Count& count) {
    first_row_.assign(1, 0);
    for (int rank = 0; rank < rows_.size(); ++rank) first_row_.push_back(first_row_.back() + count(rank));
  }

  /// Destinations that this rank speaks for; all are on its rail.
  [[nodiscard]] const std::vector<int>& mine() const {
    return exchange_.destinations_[at(exchange_.nodes_.position(exchange_.rank_))];
  }

  HierarchicalExchange& exchange_;
  RowTable rows_{{}, 0, false};
  TensorView to_;
  TensorView node_in_, rail_out_, rail_in_;
  Rows node_sent_, node_received_, rail_sent_, rail_received_;  // rows, then bytes, of each peer
  Rows first_row_;                                              // [size + 1]
  Rows next_in_;                                                // [members of this node]
  comm::Pending travelling_;
  bool between_nodes_ = false;
};

HierarchicalExchange::HierarchicalExchange(comm::Communicator& communicator, Nodes nodes)
    : nodes_(std::move(nodes)),
      rank_(communicator.rank()),
      node_communicator_(communicator.split(nodes_.node_of(rank_), rank_)),
      rail_communicator_(communicator.split(nodes_.rail(rank_), rank_)),
      operation_(std::make_unique<Operation>(*this)) {
  for (int rank = 0; rank < size(); ++rank) {
    if (nodes_.rail(rank) == nodes_.rail(rank_)) rail_.push_back(rank);
  }
  for (const int member : node()) destinations_.push_back(destinations(member));
}

HierarchicalExchange::~HierarchicalExchange() = default;

comm::Pending HierarchicalExchange::start(const Pass& pass, const RowTable& rows, ConstTensorView from,
                                          TensorView to) {
  operation_->start(pass, rows, from, to);
  return comm::Pending(*operation_);
}

}  // namespace troupe::experts
