#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "actors/message.h"

namespace troupe::actors {

/// Why a question has no reply.
enum class AskFailure {
  kNone,      // it has one
  kDeadline,  // none came in time
  kFull,      // the mailbox was full
  kDead,      // the actor is gone, or dropped the question
};

/// What the continuation of an ask gets, exactly once.
template <class Reply>
struct Answer {
  std::optional<Reply> reply;
  AskFailure failure = AskFailure::kNone;

  explicit operator bool() const { return reply.has_value(); }
};

/// What can take the Answer to a Question.
template <class Continuation, class Question>
concept ContinuationOf = std::is_invocable_v < Continuation&,
        const Answer<typename Question::Reply>
& > ;

namespace detail {

/// The way back of one question. Settled once; when its last holder drops it unsettled, the asker learns
/// kDead.
template <class Reply>
class ReplySlot {
 public:
  using Settle = std::function<void(Answer<Reply>)>;

  explicit ReplySlot(Settle settle) : settle_(std::move(settle)) {}
  ReplySlot(const ReplySlot&) = delete;
  ReplySlot& operator=(const ReplySlot&) = delete;
  ~ReplySlot() { settle({std::nullopt, AskFailure::kDead}); }

  void settle(Answer<Reply> answer) {
    if (!settled_.exchange(true)) settle_(std::move(answer));
  }

 private:
  Settle settle_;
  std::atomic<bool> settled_ = false;
};

}  // namespace detail

/// A question on its way to an actor that lists Request<Question> among what it accepts; `Question::Reply`
/// names the reply's type. The handler replies at once, or keeps a copy and replies later.
///   void on(const Request<GetStatus>& request) override { request.reply(Status{...}); }
template <class Question>
class Request {
 public:
  using Reply = typename Question::Reply;

  Request(Question asked, std::shared_ptr<detail::ReplySlot<Reply>> slot)
      : question(std::move(asked)), slot_(std::move(slot)) {}

  /// The first reply counts, later ones are ignored. Thread-safe.
  void reply(Reply value) const { slot_->settle({std::move(value), AskFailure::kNone}); }

  Question question;

 private:
  std::shared_ptr<detail::ReplySlot<Reply>> slot_;
};

}  // namespace troupe::actors
