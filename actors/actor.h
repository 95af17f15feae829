#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/address.h"
#include "actors/ask.h"
#include "actors/runtime.h"

namespace troupe::actors {

/// A timer of an actor; 0 is none.
using TimerId = std::uint64_t;

namespace detail {

/// What every actor has, whatever it accepts. All of it is for the actor's own handlers, and works from
/// started() on, not in the constructor.
class ActorBase : public Receiver {
 public:
  ActorBase() = default;
  ActorBase(const ActorBase&) = delete;
  ActorBase& operator=(const ActorBase&) = delete;
  ~ActorBase() override;

 protected:
  /// Called once before the first message, also after a restart.
  virtual void started() {}

  [[nodiscard]] const Clock& clock() const;
  [[nodiscard]] TimePoint now() const { return clock().now(); }
  [[nodiscard]] const std::string& name() const;

  /// Ends this actor after the current handler; its children end with it.
  void stop();

  /// Forgets a timer; false if it has fired already, or is 0.
  bool cancel(TimerId timer);

  /// Starts a child: it ends with this actor, and its failures come here once its restarts are used up.
  template <class Factory>
  auto spawn(std::string child_name, Factory factory, SpawnOptions options = {}) {
    using Child = typename std::invoke_result_t<Factory&>::element_type;
    return AddressAccess::make<typename Child::Api>(
        spawn_child(std::move(child_name), std::move(factory), options));
  }

  /// Asks another actor; `then` gets the Answer on this actor's strand, exactly once, unless this actor
  /// ends or restarts before.
  template <class Api, class Question, class Continuation>
  requires AcceptedBy<Request<Question>, Api> && ContinuationOf<Continuation, Question>
  void ask(const Address<Api>& whom, Question question, Duration deadline, Continuation then) {
    using Reply = typename Question::Reply;
    const std::uint64_t ticket = open_question([then = std::move(then)](const void* answer) mutable {
      then(*static_cast<const Answer<Reply>*>(answer));
    });
    start_deadline(ticket, deadline, [ticket] {
      return std::make_unique<AnswerArrived<Reply>>(ticket, Answer<Reply>{{}, AskFailure::kDeadline});
    });
    auto slot = std::make_shared<ReplySlot<Reply>>([back = way_back(), ticket](Answer<Reply> answer) {
      back(std::make_unique<AnswerArrived<Reply>>(ticket, std::move(answer)));
    });
    if (whom.send(Request<Question>(std::move(question), slot)) == Delivery::kFull) {
      slot->settle({std::nullopt, AskFailure::kFull});
    }
  }

  [[nodiscard]] std::shared_ptr<Recipient> self_recipient() const;
  TimerId send_later(Duration delay, std::unique_ptr<Envelope> envelope);

 private:
  friend class Cell;

  /// A message that waits for its time.
  struct PendingTimer {
    std::unique_ptr<Envelope> envelope;
    std::uint64_t runtime_timer = 0;
  };
  class TimerFired;
  class ChildFailed;
  template <class Reply>
  class AnswerArrived;

  using ErasedContinuation = std::function<void(const void* answer)>;

  /// Registers a question; the continuation gets a `const Answer<Reply>*`. Returns its ticket.
  std::uint64_t open_question(ErasedContinuation then);
  void start_deadline(std::uint64_t ticket, Duration deadline,
                      std::function<std::unique_ptr<Envelope>()> expired);
  void close_question(std::uint64_t ticket, const void* answer);
  /// How an answer finds back to this actor, or to nobody.
  [[nodiscard]] std::function<void(std::unique_ptr<Envelope>)> way_back() const;

  [[nodiscard]] Cell& cell() const;
  void fire(TimerId timer);
  std::shared_ptr<Recipient> spawn_child(std::string child_name, ActorFactory factory,
                                         const SpawnOptions& options);
  /// False if it was not (or is no longer) this actor's.
  bool forget_child(const Cell& child);
  void stop_children();

  struct OpenQuestion {
    ErasedContinuation then;
    std::uint64_t runtime_timer = 0;
  };

  Cell* cell_ = nullptr;
  std::unordered_map<TimerId, PendingTimer> timers_;
  std::unordered_map<std::uint64_t, OpenQuestion> questions_;
  std::vector<std::shared_ptr<Cell>> children_;
};

template <class Reply>
class ActorBase::AnswerArrived final : public Envelope {
 public:
  AnswerArrived(std::uint64_t ticket, Answer<Reply> answer) : ticket_(ticket), answer_(std::move(answer)) {}
  void deliver(Receiver& receiver) override {
    static_cast<ActorBase&>(receiver).close_question(ticket_, &answer_);
  }

 private:
  std::uint64_t ticket_;
  Answer<Reply> answer_;
};

template <class Api>
class HandlesAll;
template <class... Messages>
class HandlesAll<Accepts<Messages...>> : public Handles<Messages>... {};

}  // namespace detail

/// Base of all actors: one mailbox, one message at a time, so handlers need no locks. Override
/// `void on(const Message&)` for each message of `Accepted`, and started() if there is something to
/// begin with. Handlers never wait for anything: no MPI, no HDF5, no long computation. An exception
/// that leaves a handler is a failure of the actor, see SpawnOptions.
template <class Accepted>
class Actor : public detail::ActorBase, public detail::HandlesAll<Accepted> {
 public:
  using Api = Accepted;

 protected:
  [[nodiscard]] Address<Api> self() const { return detail::AddressAccess::make<Api>(self_recipient()); }

  /// Sends a message to this actor itself after `delay`, past the mailbox's bound. Gone after a restart.
  template <class Message>
  requires AcceptedBy<Message, Api> TimerId send_later(Duration delay, Message message) {
    return ActorBase::send_later(delay,
                                 std::make_unique<detail::MessageEnvelope<Message>>(std::move(message)));
  }
};

}  // namespace troupe::actors
