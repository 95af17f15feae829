#pragma once
#include <deque>
#include <utility>

#include "comm/control/link/events.h"

namespace troupe::comm::detail {

/// Events on their way into an actor's mailbox, in order. What does not fit waits here.
template <class Api>
class EventQueue {
 public:
  using Event = typename EventOf<Api>::Type;

  void push(Event event) { events_.push_back(std::move(event)); }
  [[nodiscard]] bool empty() const { return events_.empty(); }

  /// Moves what fits into the mailbox, calling taken(event, delivery) for each; false if some must wait.
  template <class Taken>
  bool flush(const actors::Address<Api>& mailbox, Taken taken) {
    while (!events_.empty()) {
      const actors::Delivery delivery = deliver(mailbox, events_.front());
      if (delivery == actors::Delivery::kFull) return false;
      taken(std::as_const(events_.front()), delivery);
      events_.pop_front();
    }
    return true;
  }

 private:
  std::deque<Event> events_;
};

}  // namespace troupe::comm::detail
