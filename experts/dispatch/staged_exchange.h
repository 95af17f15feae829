#pragma once
#include <memory>

#include "experts/dispatch/exchange.h"

namespace troupe::experts {

/// Rows in a device's memory travel through the host's, by another exchange, which must take no scratch from
/// the arena. Rows that are on the host pass as they are.
class StagedExchange final : public Exchange {
 public:
  explicit StagedExchange(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  [[nodiscard]] int rank() const override { return exchange_->rank(); }
  [[nodiscard]] int size() const override { return exchange_->size(); }
  [[nodiscard]] bool in_place() const override { return exchange_->in_place(); }
  void gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) override {
    exchange_->gather(mine, all);
  }
  comm::Pending start(const Pass& pass, const RowTable& rows, ConstTensorView from, TensorView to) override;

 private:
  /// Host memory that grows to what was once needed.
  class Stage {
   public:
    [[nodiscard]] TensorView view(const Shape& shape);

   private:
    Tensor memory_ = Tensor(Shape{0});
  };
  /// Brings the rows to the device once they are there.
  class Arrival final : public comm::Pending::Operation {
   public:
    void start(comm::Pending travelling, Accelerator* accelerator, ConstTensorView arrived, TensorView to);
    bool progress() override;
    void wait() override;

   private:
    comm::Pending travelling_;
    Accelerator* accelerator_ = nullptr;
    ConstTensorView arrived_;
    TensorView to_;
  };

  std::unique_ptr<Exchange> exchange_;
  Stage sent_, arrived_;
  Arrival arrival_;  // the one that is under way
};

}  // namespace troupe::experts
