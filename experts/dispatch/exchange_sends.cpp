#include "experts/dispatch/exchange_sends.h"

#include <algorithm>

#include "base/index.h"
#include "experts/dispatch/nodes.h"

namespace troupe::experts {
namespace {

ExchangeSends hierarchical(const Nodes& nodes, int rank) {
  const int node = nodes.node_of(rank);
  const auto members = std::ssize(nodes.members(node));
  std::int64_t rail = 0;  // ranks of it
  ExchangeSends sends;
  for (int other = 0; other < nodes.ranks(); ++other) {
    const int gateway = nodes.gateway(node, other);
    if (nodes.rail(other) == nodes.rail(rank)) ++rail;
    if (gateway != rank) ++sends.row_parts;                            // inside the node
    if (gateway == rank && other != rank) sends.row_parts += members;  // between nodes
  }
  sends.messages = members - 1 + rail - 1;
  const bool speaks = nodes.position(rank) == nodes.rail(rank);
  sends.counts = members - 1 + (speaks ? members * (rail - 1) : 0);
  return sends;
}

}  // namespace

ExchangeSends exchange_sends(const layout::DispatchOptions& options, int ranks, int rank) {
  const std::int64_t peers = ranks - 1;
  if (options.hierarchical && options.workers_per_node > 0) {
    const Nodes nodes(consecutive_nodes(ranks, options.workers_per_node));
    if (nodes.count() > 1 && nodes.count() < ranks) return hierarchical(nodes, rank);
  }
  return {.messages = peers, .row_parts = peers, .counts = peers};
}

}  // namespace troupe::experts
