#pragma once
#include "experts/dispatch/wrapped_exchange.h"

namespace troupe::experts {

/// Rows travel as bf16, by another exchange. Rows that stay home are rounded too, also in a group of one:
/// the bits do not depend on the layout.
class Bf16Exchange final : public WrappedExchange {
 public:
  using WrappedExchange::WrappedExchange;

  /// from, to: f32
  comm::Pending start(const Pass& pass, const RowTable& rows, ConstTensorView from, TensorView to) override;

 private:
  /// Widens the rows once they are there.
  class Widening final : public Arrival {
   public:
    void start(comm::Pending travelling, Execution execution, ConstTensorView arrived, TensorView to);

   private:
    void finish() override;

    Execution execution_;
  };

  Widening widening_;  // the one that is under way
};

}  // namespace troupe::experts
