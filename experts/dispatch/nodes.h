#pragma once
#include <cstdint>
#include <vector>

#include "base/index.h"

namespace troupe::experts {

/// Which ranks of a group share a node, and which of them speaks for whom to the other nodes. Pure.
class Nodes {
 public:
  /// node_of_rank: [ranks], numbers 0, 1, … none left out
  explicit Nodes(std::vector<int> node_of_rank);

  [[nodiscard]] int count() const { return static_cast<int>(members_.size()); }
  [[nodiscard]] int ranks() const { return static_cast<int>(node_of_rank_.size()); }
  [[nodiscard]] int node_of(int rank) const { return node_of_rank_[at(rank)]; }
  /// Ascending.
  [[nodiscard]] const std::vector<int>& members(int node) const { return members_[at(node)]; }
  /// Place among the members of its node.
  [[nodiscard]] int position(int rank) const { return position_[at(rank)]; }
  /// Ranks of equal rail exchange between nodes; every rail has a rank on every node.
  [[nodiscard]] int rail(int rank) const { return position(rank) % rails_; }
  /// The member of `node` that all rows of this node for `rank` pass through: `rank` itself at home, else
  /// one on its rail.
  [[nodiscard]] int gateway(int node, int rank) const;

 private:
  std::vector<int> node_of_rank_;
  std::vector<std::vector<int>> members_;
  std::vector<int> position_;
  int rails_;  // ranks of the smallest node
};

/// Nodes of `per_node` consecutive ranks; the last may have fewer.
[[nodiscard]] std::vector<int> consecutive_nodes(int ranks, std::int64_t per_node);

}  // namespace troupe::experts
