#pragma once
#include <memory>

#include "experts/dispatch/exchange.h"

namespace troupe::experts {

/// Rows travel as bf16, by another exchange. Rows that stay home are rounded too, also in a group of one:
/// the bits do not depend on the layout.
class Bf16Exchange final : public Exchange {
 public:
  explicit Bf16Exchange(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  [[nodiscard]] int rank() const override { return exchange_->rank(); }
  [[nodiscard]] int size() const override { return exchange_->size(); }
  [[nodiscard]] bool in_place() const override { return exchange_->in_place(); }
  void gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) override {
    exchange_->gather(mine, all);
  }
  /// from, to: f32
  comm::Pending start(const Pass& pass, const RowTable& rows, ConstTensorView from, TensorView to) override;

 private:
  /// Widens the rows once they are there.
  class Widening final : public comm::Pending::Operation {
   public:
    void start(comm::Pending travelling, Execution execution, ConstTensorView arrived, TensorView to);
    bool progress() override;
    void wait() override;

   private:
    comm::Pending travelling_;
    Execution execution_;
    ConstTensorView arrived_;
    TensorView to_;
  };

  std::unique_ptr<Exchange> exchange_;
  Widening widening_;  // the one that is under way
};

}  // namespace troupe::experts
