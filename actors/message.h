#pragma once
#include <type_traits>

namespace troupe::actors {

/// The list of message types that an actor accepts; it stands before the actor's class:
///   using StepSchedulerApi = actors::Accepts<StepFinished, PlanNextSteps>;
template <class... Messages>
struct Accepts {};

namespace detail {

template <class Message, class Api>
struct IsAccepted : std::false_type {};
template <class Message, class... Messages>
struct IsAccepted<Message, Accepts<Messages...>> : std::disjunction<std::is_same<Message, Messages>...> {};

template <class Some, class All>
struct IsPartOf : std::false_type {};
template <class... Some, class All>
struct IsPartOf<Accepts<Some...>, All> : std::conjunction<IsAccepted<Some, All>...> {};

}  // namespace detail

template <class Message, class Api>
concept AcceptedBy = detail::IsAccepted<Message, Api>::value;

/// Every message of `Some` is one of `All`.
template <class Some, class All>
concept PartOf = detail::IsPartOf<Some, All>::value;

/// What became of a message.
enum class Delivery {
  kDelivered,  // it is in the mailbox
  kFull,       // the mailbox is full: send less, or later
  kDead,       // the actor is gone for good
};

namespace detail {

/// Whoever opens envelopes: an actor, or the reader of an Inbox.
class Receiver {
 public:
  virtual ~Receiver() = default;
};

/// One message type that a receiver handles.
template <class Message>
class Handles {
 public:
  virtual ~Handles() = default;
  virtual void on(const Message& message) = 0;
};

/// A message on its way, its type erased. Only envelopes that the receiver handles reach it: Address<Api>
/// lets no other be sent.
class Envelope {
 public:
  virtual ~Envelope() = default;
  virtual void deliver(Receiver& receiver) = 0;
};

template <class Message>
class MessageEnvelope final : public Envelope {
 public:
  explicit MessageEnvelope(Message message) : message_(static_cast<Message&&>(message)) {}
  void deliver(Receiver& receiver) override { dynamic_cast<Handles<Message>&>(receiver).on(message_); }

 private:
  Message message_;
};

}  // namespace detail
}  // namespace troupe::actors
