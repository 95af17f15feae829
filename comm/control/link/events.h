#pragma once
#include <variant>

#include "actors/address.h"
#include "comm/control/link/client.h"
#include "comm/control/link/server.h"

namespace troupe::comm::detail {

template <class Api>
struct EventOf;
template <class... Events>
struct EventOf<actors::Accepts<Events...>> {
  using Type = std::variant<Events...>;
};

/// One event on its way into an actor's mailbox.
using ServerEvent = EventOf<ServerEvents>::Type;
using ClientEvent = EventOf<ClientEvents>::Type;

template <class Api>
actors::Delivery deliver(const actors::Address<Api>& address, const typename EventOf<Api>::Type& event) {
  return std::visit([&](const auto& one) { return address.send(one); }, event);
}

}  // namespace troupe::comm::detail
