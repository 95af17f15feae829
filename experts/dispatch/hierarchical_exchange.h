#pragma once
#include <memory>
#include <vector>

#include "experts/dispatch/exchange.h"
#include "experts/dispatch/nodes.h"

namespace troupe::experts {

/// In two steps: inside each node to the rank that speaks for the destination (Nodes::gateway), then
/// between nodes, one message per pair of node and destination instead of one per pair of ranks. Rows
/// are copied as they are and arrive in the order of a direct exchange.
class HierarchicalExchange final : public Exchange {
 public:
  /// Collective.
  HierarchicalExchange(comm::Communicator& communicator, Nodes nodes);
  ~HierarchicalExchange() override;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return nodes_.ranks(); }
  void gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) override;
  comm::Pending start(const Pass& pass, const RowTable& rows, ConstTensorView from, TensorView to) override;

 private:
  class Operation;

  [[nodiscard]] const std::vector<int>& node() const { return nodes_.members(nodes_.node_of(rank_)); }
  /// Destinations whose rows from this node pass through `member` of it, ascending.
  [[nodiscard]] std::vector<int> destinations(int member) const;

  Nodes nodes_;
  int rank_;
  std::vector<int> rail_;  // ranks of this rank's rail, ascending
  std::unique_ptr<comm::Communicator> node_communicator_;
  std::unique_ptr<comm::Communicator> rail_communicator_;
  std::vector<std::vector<int>> destinations_;  // [members of this node]
  std::unique_ptr<Operation> operation_;        // the one that is under way, used again and again

  // Of gather().
  std::vector<std::int32_t> of_node_, arrived_;
  std::vector<std::int64_t> node_bytes_, rail_bytes_;
};

}  // namespace troupe::experts
