#pragma once
#include <memory>
#include <utility>

#include "experts/dispatch/exchange.h"

namespace troupe::experts {

/// An exchange whose rows another one carries.
class WrappedExchange : public Exchange {
 public:
  explicit WrappedExchange(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  [[nodiscard]] int rank() const override { return exchange_->rank(); }
  [[nodiscard]] int size() const override { return exchange_->size(); }
  [[nodiscard]] bool in_place() const override { return exchange_->in_place(); }
  void gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) override {
    exchange_->gather(mine, all);
  }

 protected:
  [[nodiscard]] Exchange& wrapped() { return *exchange_; }

  /// Brings rows that have arrived into the form that was asked for.
  class Arrival : public comm::Pending::Operation {
   public:
    bool progress() final {
      if (!travelling_.progress()) return false;
      finish();
      return true;
    }
    void wait() final {
      travelling_.wait();
      finish();
    }

   protected:
    void begin(comm::Pending travelling, ConstTensorView arrived, TensorView to) {
      travelling_ = std::move(travelling);
      arrived_ = arrived;
      to_ = to;
    }
    virtual void finish() = 0;
    [[nodiscard]] ConstTensorView arrived() const { return arrived_; }
    [[nodiscard]] TensorView to() const { return to_; }

   private:
    comm::Pending travelling_;
    ConstTensorView arrived_;
    TensorView to_;
  };

 private:
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace troupe::experts
