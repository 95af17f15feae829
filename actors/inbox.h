#pragma once
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "actors/address.h"
#include "base/clock.h"

namespace troupe::actors {

template <class Api>
class Inbox;

/// A mailbox that a thread of its own reads, such as the compute thread: actors send to its address as
/// to any actor's, the thread polls it or waits. Dead to its senders once the Inbox is destroyed.
template <class... Messages>
class Inbox<Accepts<Messages...>> {
 public:
  using Api = Accepts<Messages...>;
  using Message = std::variant<Messages...>;

  explicit Inbox(std::string name, std::size_t capacity = 1024)
      : queue_(std::make_shared<Queue>(std::move(name), capacity)) {}
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  ~Inbox() { queue_->close(); }

  [[nodiscard]] Address<Api> address() const { return detail::AddressAccess::make<Api>(queue_); }

  /// The oldest message, if there is one.
  [[nodiscard]] std::optional<Message> try_receive() { return receive(Duration::zero()); }

  /// The oldest message; waits up to `timeout` of real time for one.
  [[nodiscard]] std::optional<Message> receive(Duration timeout) {
    const std::unique_ptr<detail::Envelope> envelope = queue_->pop(timeout);
    if (!envelope) return std::nullopt;
    Opener opener;
    envelope->deliver(opener);
    return std::move(opener.message);
  }

 private:
  class Queue final : public detail::Recipient {
   public:
    Queue(std::string name, std::size_t capacity) : name_(std::move(name)), capacity_(capacity) {}

    Delivery push(std::unique_ptr<detail::Envelope> envelope) override {
      const std::lock_guard lock(mutex_);
      if (closed_) return Delivery::kDead;
      if (envelopes_.size() >= capacity_) return Delivery::kFull;
      envelopes_.push_back(std::move(envelope));
      arrived_.notify_one();
      return Delivery::kDelivered;
    }
    [[nodiscard]] const std::string& name() const override { return name_; }

    std::unique_ptr<detail::Envelope> pop(Duration timeout) {
      std::unique_lock lock(mutex_);
      if (!arrived_.wait_for(lock, timeout, [this] { return !envelopes_.empty(); })) return nullptr;
      std::unique_ptr<detail::Envelope> envelope = std::move(envelopes_.front());
      envelopes_.pop_front();
      return envelope;
    }
    void close() {
      std::deque<std::unique_ptr<detail::Envelope>> dropped;  // destroyed outside of the lock
      const std::lock_guard lock(mutex_);
      closed_ = true;
      dropped.swap(envelopes_);
    }

   private:
    const std::string name_;
    const std::size_t capacity_;
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<std::unique_ptr<detail::Envelope>> envelopes_;
    bool closed_ = false;
  };

  /// Takes what an envelope holds. Opens<M> handles one type and puts it into the common variant.
  struct Holder {
    std::optional<Message> message;
  };
  template <class One>
  struct Opens : detail::Handles<One>, virtual Holder {
    void on(const One& one) override { this->message = one; }
  };
  struct Opener final : detail::Receiver, Opens<Messages>... {};

  std::shared_ptr<Queue> queue_;
};

}  // namespace troupe::actors
