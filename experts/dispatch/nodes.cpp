#include "experts/dispatch/nodes.h"

#include <algorithm>

#include "base/index.h"

namespace troupe::experts {

Nodes::Nodes(std::vector<int> node_of_rank)
    : node_of_rank_(std::move(node_of_rank)), members_(at(*std::ranges::max_element(node_of_rank_)) + 1) {
  for (int rank = 0; rank < ranks(); ++rank) {
    auto& node = members_[at(node_of(rank))];
    position_.push_back(static_cast<int>(node.size()));
    node.push_back(rank);
  }
  rails_ = static_cast<int>(std::ranges::min(members_, {}, &std::vector<int>::size).size());
}

int Nodes::gateway(int node, int rank) const {
  if (node_of(rank) == node) return rank;
  const auto& there = members(node);
  const auto place = at(position(rank));
  return place < there.size() ? there[place] : there[at(rail(rank))];
}

std::vector<int> consecutive_nodes(int ranks, std::int64_t per_node) {
  std::vector<int> nodes;
  for (int rank = 0; rank < ranks; ++rank) nodes.push_back(static_cast<int>(rank / per_node));
  return nodes;
}

}  // namespace troupe::experts
