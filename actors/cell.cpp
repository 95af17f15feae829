#include "actors/cell.h"

#include <utility>

#include "base/log.h"

namespace troupe::actors::detail {

namespace {

Error to_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorCode::kInternal, std::string(error.what()));
  } catch (...) {
    return Error(ErrorCode::kInternal, std::string("something that is not a std::exception was thrown"));
  }
}

}  // namespace

/// A child used up its restarts: the parent fails, unless it has let go of the child.
class ActorBase::ChildFailed final : public Envelope {
 public:
  ChildFailed(std::shared_ptr<Cell> child, Error error)
      : child_(std::move(child)), error_(std::move(error)) {}
  void deliver(Receiver& receiver) override {
    if (static_cast<ActorBase&>(receiver).forget_child(*child_)) throw error_;
  }

 private:
  std::shared_ptr<Cell> child_;
  Error error_;
};

Cell::Cell(Runtime& runtime, std::string name, ActorFactory factory, const SpawnOptions& options,
           Cell* parent, std::uint64_t number)
    : runtime_(runtime),
      name_(std::move(name)),
      factory_(std::move(factory)),
      options_(options),
      parent_(parent != nullptr ? parent->weak_from_this() : std::weak_ptr<Cell>()),
      has_parent_(parent != nullptr),
      number_(number) {}

Cell::~Cell() = default;

Delivery Cell::push(std::unique_ptr<Envelope> envelope) { return enqueue(std::move(envelope), true); }

void Cell::push_past_bound(std::unique_ptr<Envelope> envelope) { enqueue(std::move(envelope), false); }

Delivery Cell::enqueue(std::unique_ptr<Envelope> envelope, bool bounded) {
  const std::lock_guard lock(mutex_);
  if (dead_) return Delivery::kDead;
  if (bounded && mailbox_.size() >= options_.mailbox_capacity) return Delivery::kFull;
  mailbox_.push_back(std::move(envelope));
  // Under the lock: once the mailbox is closed, no sender is inside the runtime any more, which may go then.
  if (!std::exchange(scheduled_, true)) runtime_.schedule(shared_from_this());
  return Delivery::kDelivered;
}

void Cell::start() {
  {
    const std::lock_guard lock(mutex_);
    scheduled_ = true;
  }
  runtime_.schedule(shared_from_this());
}

void Cell::run(int messages) {
  if (!actor_ && !is_dead()) make_actor();
  for (int handled = 0; handled < messages; ++handled) {
    const std::unique_ptr<Envelope> envelope = take_next();
    if (!envelope) break;
    handle(*envelope);
  }
  if (is_dead()) return bury();
  schedule_again();
}

bool Cell::is_dead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

std::unique_ptr<Envelope> Cell::take_next() {
  const std::lock_guard lock(mutex_);
  if (dead_ || mailbox_.empty()) return nullptr;
  std::unique_ptr<Envelope> envelope = std::move(mailbox_.front());
  mailbox_.pop_front();
  return envelope;
}

void Cell::schedule_again() {
  {
    const std::lock_guard lock(mutex_);
    scheduled_ = dead_ || !mailbox_.empty();
    if (!scheduled_) return;
  }
  runtime_.schedule(shared_from_this());
}

void Cell::make_actor() {
  try {
    actor_ = factory_();
    TROUPE_CHECK(actor_ != nullptr, "the factory of actor '{}' returned nothing", name_);
    actor_->cell_ = this;
    actor_->started();
  } catch (...) {
    handle_failure(std::current_exception());
  }
  if (ending_) end();
}

void Cell::handle(Envelope& envelope) {
  try {
    envelope.deliver(*actor_);
  } catch (...) {
    handle_failure(std::current_exception());
  }
  if (ending_) end();
}

void Cell::handle_failure(const std::exception_ptr& failure) {
  const Error error = to_error(failure);
  // It goes first, with its children: nothing of the failed one is left to meet the new one.
  remove_actor();
  if (may_restart()) {
    log::warn("actor '{}' failed and starts again: {}", name_, error.what());
    restarts_.push_back(runtime_.clock().now());
    make_actor();
    return;
  }
  end();
  escalate(Error(error.code(), "actor '{}' failed: {}", name_, error.what()));
}

bool Cell::may_restart() {
  const TimePoint oldest = runtime_.clock().now() - options_.restart_window;
  while (!restarts_.empty() && restarts_.front() < oldest) restarts_.pop_front();
  return !ending_ && std::cmp_less(restarts_.size(), options_.max_restarts);
}

void Cell::escalate(const Error& error) {
  if (!has_parent_) return runtime_.fail(error);
  if (const std::shared_ptr<Cell> parent = parent_.lock()) {
    parent->push_past_bound(std::make_unique<ActorBase::ChildFailed>(shared_from_this(), error));
  }
}

void Cell::end() {
  if (!close_mailbox()) runtime_.schedule(shared_from_this());
}

bool Cell::close_mailbox() {
  std::deque<std::unique_ptr<Envelope>> dropped;  // destroyed outside of the lock: answers go out from there
  const std::lock_guard lock(mutex_);
  dead_ = true;
  dropped.swap(mailbox_);
  return std::exchange(scheduled_, true);
}

void Cell::bury() {
  remove_actor();
  runtime_.forget(*this);
}

void Cell::destroy() {
  close_mailbox();
  remove_actor();
}

void Cell::remove_actor() {
  if (!actor_) return;
  actor_->stop_children();
  actor_.reset();
}

}  // namespace troupe::actors::detail
