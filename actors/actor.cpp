#include "actors/actor.h"

#include <algorithm>

#include "actors/cell.h"

namespace troupe::actors::detail {

/// A timer's time has come: a mere ticket, so that a cancelled or restarted actor's timer does nothing.
class ActorBase::TimerFired final : public Envelope {
 public:
  explicit TimerFired(TimerId timer) : timer_(timer) {}
  void deliver(Receiver& receiver) override { static_cast<ActorBase&>(receiver).fire(timer_); }

 private:
  TimerId timer_;
};

ActorBase::~ActorBase() {
  for (const auto& [id, timer] : timers_) cell().runtime().cancel_timer(timer.runtime_timer);
  for (const auto& [ticket, question] : questions_) cell().runtime().cancel_timer(question.runtime_timer);
}

Cell& ActorBase::cell() const {
  TROUPE_CHECK(cell_ != nullptr, "an actor's constructor uses its runtime: move that into started()");
  return *cell_;
}

const Clock& ActorBase::clock() const { return cell().runtime().clock(); }

const std::string& ActorBase::name() const { return cell().name(); }

void ActorBase::stop() { cell().end_after_handler(); }

std::shared_ptr<Recipient> ActorBase::self_recipient() const { return cell().shared_from_this(); }

std::function<void(std::unique_ptr<Envelope>)> ActorBase::way_back() const {
  return [weak = cell().weak_from_this()](std::unique_ptr<Envelope> envelope) {
    if (const std::shared_ptr<Cell> asker = weak.lock()) asker->push_past_bound(std::move(envelope));
  };
}

TimerId ActorBase::send_later(Duration delay, std::unique_ptr<Envelope> envelope) {
  const TimerId id = cell().next_ticket();
  auto fire = [back = way_back(), id] { back(std::make_unique<TimerFired>(id)); };
  timers_[id] = {std::move(envelope), cell().runtime().start_timer(now() + delay, std::move(fire))};
  return id;
}

bool ActorBase::cancel(TimerId timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return false;
  cell().runtime().cancel_timer(found->second.runtime_timer);
  timers_.erase(found);
  return true;
}

void ActorBase::fire(TimerId timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return;
  const std::unique_ptr<Envelope> envelope = std::move(found->second.envelope);
  timers_.erase(found);
  envelope->deliver(*this);
}

std::uint64_t ActorBase::open_question(ErasedContinuation then) {
  const std::uint64_t ticket = cell().next_ticket();
  questions_[ticket] = {std::move(then), 0};
  return ticket;
}

void ActorBase::start_deadline(std::uint64_t ticket, Duration deadline,
                               std::function<std::unique_ptr<Envelope>()> expired) {
  auto fire = [back = way_back(), expired = std::move(expired)] { back(expired()); };
  questions_.at(ticket).runtime_timer = cell().runtime().start_timer(now() + deadline, std::move(fire));
}

void ActorBase::close_question(std::uint64_t ticket, const void* answer) {
  const auto found = questions_.find(ticket);
  if (found == questions_.end()) return;
  const OpenQuestion question = std::move(found->second);
  questions_.erase(found);
  cell().runtime().cancel_timer(question.runtime_timer);
  question.then(answer);
}

std::shared_ptr<Recipient> ActorBase::spawn_child(std::string child_name, ActorFactory factory,
                                                  const SpawnOptions& options) {
  auto child = cell().runtime().spawn_cell(name() + "/" + child_name, std::move(factory), options, &cell());
  children_.push_back(std::static_pointer_cast<Cell>(child));
  return child;
}

bool ActorBase::forget_child(const Cell& child) {
  return std::erase_if(children_, [&](const auto& mine) { return mine.get() == &child; }) > 0;
}

void ActorBase::stop_children() {
  for (const auto& child : children_) child->end();
  children_.clear();
}

}  // namespace troupe::actors::detail
