#pragma once
#include "experts/dispatch/wrapped_exchange.h"

namespace troupe::experts {

/// Rows in a device's memory travel through the host's, by another exchange, which must take no scratch from
/// the arena. Rows that are on the host pass as they are.
class StagedExchange final : public WrappedExchange {
 public:
  using WrappedExchange::WrappedExchange;

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
  class Upload final : public Arrival {
   public:
    void start(comm::Pending travelling, Accelerator* accelerator, ConstTensorView arrived, TensorView to);

   private:
    void finish() override;

    Accelerator* accelerator_ = nullptr;
  };

  Stage sent_, arrived_;
  Upload upload_;  // the one that is under way
};

}  // namespace troupe::experts
