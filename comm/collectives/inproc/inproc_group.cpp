#include "comm/collectives/inproc/inproc_group.h"

#include <utility>

#include "base/index.h"

namespace troupe::comm::detail {

InprocGroup::InprocGroup(int size) : left_(at(size), false) {}

void InprocGroup::post(std::int64_t number, int rank, std::string_view operation, Contribution contribution) {
  Lock lock(mutex_);
  if (failure_) throw_failure(lock, number);
  const auto [place, first] = rounds_.try_emplace(number);
  Round& round = place->second;
  if (first) {
    round.operation = operation;
    round.first_rank = rank;
    round.contributions.resize(left_.size());
  } else if (round.operation != operation) {
    set_failure(lock, number, ErrorCode::kInternal,
                fmt::format("rank {} calls {} as operation {} of its group, where rank {} calls {}", rank,
                            operation, number, round.first_rank, round.operation));
    throw_failure(lock, number);
  }
  round.contributions[at(rank)] = std::move(contribution);
  if (++round.posted == size()) changed_.notify_all();
}

bool InprocGroup::all_posted(std::int64_t number) {
  Lock lock(mutex_);
  if (failure_) throw_failure(lock, number);
  return rounds_.at(number).posted == size();
}

void InprocGroup::wait_posted(std::int64_t number) {
  Lock lock(mutex_);
  const Round& round = rounds_.at(number);
  changed_.wait(lock, [&] { return failure_ || round.posted == size() || missing_rank(round); });
  if (failure_) throw_failure(lock, number);
  if (round.posted == size()) return;
  set_failure(lock, number, ErrorCode::kPeerLost,
              fmt::format("rank {} of {} left before {} (operation {} of its group)", *missing_rank(round),
                          size(), round.operation, number));
  throw_failure(lock, number);
}

std::optional<int> InprocGroup::missing_rank(const Round& round) const {
  for (std::size_t rank = 0; rank < left_.size(); ++rank)
    if (left_[rank] && !round.contributions[rank]) return static_cast<int>(rank);
  return std::nullopt;
}

InprocGroup::Reading::Reading(InprocGroup& group, std::int64_t number) : group_(group), number_(number) {
  Lock lock(group_.mutex_);
  if (group_.failure_) group_.throw_failure(lock, number_);
  Round& round = group_.rounds_.at(number_);
  ++round.reading;
  contributions_ = &round.contributions;
}

InprocGroup::Reading::~Reading() {
  const Lock lock(group_.mutex_);
  if (--group_.rounds_.at(number_).reading == 0 && group_.failure_) group_.changed_.notify_all();
}

const Contribution& InprocGroup::Reading::of(int rank) const { return (*contributions_)[at(rank)].value(); }

void InprocGroup::finish(std::int64_t number) {
  const Lock lock(mutex_);
  const auto place = rounds_.find(number);
  // The last one takes the round away, so there are only as many as operations under way.
  if (++place->second.finished < size()) return;
  rounds_.erase(place);
  changed_.notify_all();
}

bool InprocGroup::all_finished(std::int64_t number) {
  Lock lock(mutex_);
  if (!rounds_.contains(number)) return true;
  if (failure_) throw_failure(lock, number);
  return false;
}

void InprocGroup::wait_finished(std::int64_t number) {
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || !rounds_.contains(number); });
  if (rounds_.contains(number)) throw_failure(lock, number);
}

std::shared_ptr<InprocGroup> InprocGroup::child(std::int64_t number, std::int64_t color, int size) {
  const Lock lock(mutex_);
  auto& group = rounds_.at(number).children[color];
  if (!group) group = std::make_shared<InprocGroup>(size);
  return group;
}

void InprocGroup::set_failure(Lock& lock, std::int64_t number, ErrorCode code, const std::string& message) {
  if (!failure_) failure_.emplace(code, message);
  changed_.notify_all();
  // The caller's buffers may go once this returns.
  changed_.wait(lock, [&] { return !rounds_.contains(number) || rounds_.at(number).reading == 0; });
}

void InprocGroup::throw_failure(Lock& lock, std::int64_t number) {
  changed_.wait(lock, [&] { return !rounds_.contains(number) || rounds_.at(number).reading == 0; });
  throw Error(*failure_);
}

void InprocGroup::fail(std::int64_t number, ErrorCode code, const std::string& message) {
  Lock lock(mutex_);
  set_failure(lock, number, code, message);
  throw_failure(lock, number);
}

void InprocGroup::abandon(std::int64_t number, const std::string& message) {
  Lock lock(mutex_);
  set_failure(lock, number, ErrorCode::kPeerLost, message);
}

void InprocGroup::leave(int rank) {
  const Lock lock(mutex_);
  // No failure yet: a rank may leave while others read what it contributed. Who waits for it looks.
  left_[at(rank)] = true;
  changed_.notify_all();
}

}  // namespace troupe::comm::detail
