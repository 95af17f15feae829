#include "experts/dispatch/exchange.h"

#include <algorithm>
#include <vector>

#include "base/index.h"
#include "experts/dispatch/bf16_exchange.h"
#include "experts/dispatch/hierarchical_exchange.h"
#include "experts/dispatch/staged_exchange.h"

namespace troupe::experts {
namespace {

/// A group of one.
class LocalExchange final : public Exchange {
 public:
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  [[nodiscard]] bool in_place() const override { return true; }

  void gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) override {
    std::ranges::copy(mine, all.begin());
  }

  comm::Pending start(const Pass& /*pass*/, const RowTable& /*rows*/, ConstTensorView from,
                      TensorView to) override {
    TROUPE_CHECK(from.data() == to.data(), "a group of one exchanges rows in place");
    return {};
  }
};

/// Every rank with every other.
class DirectExchange final : public Exchange {
 public:
  explicit DirectExchange(comm::Communicator& communicator)
      : communicator_(communicator), sent_(ranks()), received_(ranks()) {}

  [[nodiscard]] int rank() const override { return communicator_.rank(); }
  [[nodiscard]] int size() const override { return communicator_.size(); }

  void gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) override {
    std::ranges::fill(received_, static_cast<std::int64_t>(mine.size_bytes()));
    communicator_.all_gather_v(std::as_bytes(mine), {std::as_writable_bytes(all), received_});
  }

  comm::Pending start(const Pass& /*pass*/, const RowTable& rows, ConstTensorView from,
                      TensorView to) override {
    const std::int64_t row_bytes = from.columns() * size_bytes(from.dtype());
    for (int peer = 0; peer < size(); ++peer) {
      sent_[at(peer)] = rows(rank(), peer) * row_bytes;
      received_[at(peer)] = rows(peer, rank()) * row_bytes;
    }
    return communicator_.start_all_to_all_v({bytes_of(from), sent_}, {bytes_of(to), received_});
  }

 private:
  [[nodiscard]] std::size_t ranks() const { return at(communicator_.size()); }

  comm::Communicator& communicator_;
  std::vector<std::int64_t> sent_, received_;  // [size], bytes
};

std::unique_ptr<Exchange> make_f32_exchange(comm::Communicator& communicator,
                                            const layout::DispatchOptions& options) {
  if (communicator.size() == 1) return std::make_unique<LocalExchange>();
  if (options.hierarchical) {
    const Nodes nodes(options.workers_per_node > 0
                          ? consecutive_nodes(communicator.size(), options.workers_per_node)
                          : communicator.hosts());
    if (nodes.count() > 1 && nodes.count() < communicator.size())
      return std::make_unique<HierarchicalExchange>(communicator, nodes);
  }
  return std::make_unique<DirectExchange>(communicator);
}

}  // namespace

std::unique_ptr<Exchange> make_exchange(comm::Communicator& communicator,
                                        const layout::DispatchOptions& options) {
  std::unique_ptr<Exchange> exchange =
      std::make_unique<StagedExchange>(make_f32_exchange(communicator, options));
  if (options.dtype == layout::DispatchType::kF32) return exchange;
  return std::make_unique<Bf16Exchange>(std::move(exchange));
}

}  // namespace troupe::experts
