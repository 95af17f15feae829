#pragma once
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include "actors/actor.h"

namespace troupe::actors::detail {

/// An actor's home: its mailbox, its name, and its supervision. The cell outlives restarts, so addresses
/// stay valid. The mailbox is the actor's strand: at most one run() of a cell is scheduled or running.
class Cell final : public Recipient, public std::enable_shared_from_this<Cell> {
 public:
  Cell(Runtime& runtime, std::string name, ActorFactory factory, const SpawnOptions& options, Cell* parent,
       std::uint64_t number);
  ~Cell() override;

  Delivery push(std::unique_ptr<Envelope> envelope) override;
  /// For timers and answers, whose number the actor itself bounds.
  void push_past_bound(std::unique_ptr<Envelope> envelope);
  [[nodiscard]] const std::string& name() const override { return name_; }

  /// Schedules the first run, in which the actor is made. Once.
  void start();
  /// Handles up to `messages` messages, then schedules the next run if more wait. Only the runtime calls it.
  void run(int messages);
  /// No message is handled after this; the actor is destroyed on its strand. Thread-safe.
  void end();
  /// Destroys the actor here and now: only while nothing runs.
  void destroy();

  /// On the actor's strand: it ends after the current handler.
  void end_after_handler() { ending_ = true; }
  /// Identifies timers and questions; unique through restarts.
  [[nodiscard]] std::uint64_t next_ticket() { return ++last_ticket_; }
  [[nodiscard]] Runtime& runtime() const { return runtime_; }
  /// Counts the cells of a runtime.
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  Delivery enqueue(std::unique_ptr<Envelope> envelope, bool bounded);
  [[nodiscard]] bool is_dead() const;
  [[nodiscard]] std::unique_ptr<Envelope> take_next();
  void schedule_again();
  /// Drops all messages and takes no more; true if a run is scheduled or running already.
  bool close_mailbox();
  void make_actor();
  void handle(Envelope& envelope);
  void handle_failure(const std::exception_ptr& failure);
  [[nodiscard]] bool may_restart();
  void escalate(const Error& error);
  void bury();
  void remove_actor();

  Runtime& runtime_;
  const std::string name_;
  const ActorFactory factory_;
  const SpawnOptions options_;
  const std::weak_ptr<Cell> parent_;
  const bool has_parent_;
  const std::uint64_t number_;

  mutable std::mutex mutex_;
  std::deque<std::unique_ptr<Envelope>> mailbox_;
  bool scheduled_ = false;
  bool dead_ = false;

  // Below: touched on the strand only.
  std::unique_ptr<ActorBase> actor_;
  bool ending_ = false;
  std::uint64_t last_ticket_ = 0;
  std::deque<TimePoint> restarts_;
};

}  // namespace troupe::actors::detail
