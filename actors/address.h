#pragma once
#include <memory>
#include <string>
#include <utility>

#include "actors/message.h"

namespace troupe::actors {

namespace detail {

/// Where envelopes are put. Thread-safe.
class Recipient {
 public:
  virtual ~Recipient() = default;
  /// Puts it into the mailbox unless that is full.
  virtual Delivery push(std::unique_ptr<Envelope> envelope) = 0;
  [[nodiscard]] virtual const std::string& name() const = 0;
};

struct AddressAccess;

}  // namespace detail

/// Where to send messages of `Api` to. A cheap value; any thread may copy it and send. It stays valid
/// after the actor's end, and through its restarts. A message type outside `Api` does not compile.
/// The empty address is a dead one.
template <class Api>
class Address {
 public:
  Address() = default;

  /// Narrowing: who gets this address can send only the messages of `Api`.
  template <class Wider>
  requires PartOf<Api, Wider> Address(const Address<Wider>& wider)
      : recipient_(wider.recipient_) {}  // NOLINT: a wider address is one of these

  /// Never waits. Messages of one sender to one address arrive in order.
  template <class Message>
  requires AcceptedBy<std::remove_cvref_t<Message>, Api>
  [[nodiscard]] Delivery send(Message&& message) const {
    using Plain = std::remove_cvref_t<Message>;
    if (!recipient_) return Delivery::kDead;
    return recipient_->push(std::make_unique<detail::MessageEnvelope<Plain>>(std::forward<Message>(message)));
  }

  /// The actor's name, for logs; empty for the empty address.
  [[nodiscard]] std::string name() const { return recipient_ ? recipient_->name() : std::string(); }

  bool operator==(const Address&) const = default;

 private:
  template <class>
  friend class Address;
  friend struct detail::AddressAccess;

  std::shared_ptr<detail::Recipient> recipient_;
};

namespace detail {

/// How the runtime makes and opens addresses.
struct AddressAccess {
  template <class Api>
  static Address<Api> make(std::shared_ptr<Recipient> recipient) {
    Address<Api> address;
    address.recipient_ = std::move(recipient);
    return address;
  }
  template <class Api>
  static const std::shared_ptr<Recipient>& recipient(const Address<Api>& address) {
    return address.recipient_;
  }
};

}  // namespace detail
}  // namespace troupe::actors
