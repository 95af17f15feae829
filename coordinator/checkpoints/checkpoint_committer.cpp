#include "coordinator/checkpoints/checkpoint_committer.h"

#include <utility>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

/// The workers' own words for what went wrong; empty when nothing did.
std::string first_error(const std::map<std::int64_t, comm::ShardWritten>& shards) {
  for (const auto& [rank, shard] : shards) {
    if (!shard.error.empty()) return fmt::format("worker {}: {}", rank, shard.error);
  }
  return {};
}

/// Two workers that are not at the same place; empty when all agree.
std::string first_disagreement(const std::map<std::int64_t, comm::ShardWritten>& shards) {
  const comm::ShardWritten& first = shards.begin()->second;
  for (const auto& [rank, shard] : shards) {
    const bool same = shard.folder == first.folder && shard.updates == first.updates &&
                      shard.tokens_total == first.tokens_total && shard.data_cursor == first.data_cursor;
    if (!same) return fmt::format("workers {} and {} disagree about where the run stands", first.rank, rank);
  }
  return {};
}

}  // namespace

CheckpointCommitter::CheckpointCommitter(comm::Epoch epoch, std::int64_t world_size,
                                         CheckpointCommits& commits,
                                         actors::Address<CheckpointListenerApi> listener)
    : epoch_(epoch), world_size_(world_size), commits_(commits), listener_(std::move(listener)) {}

template <class Message>
void CheckpointCommitter::tell(Message message) const {
  const actors::Delivery delivery = listener_.send(std::move(message));
  TROUPE_CHECK(delivery != actors::Delivery::kFull, "the mailbox of {} is full", listener_.name());
}

void CheckpointCommitter::on(const BeginCommits& begin) {
  numerics_fingerprint_ = begin.numerics_fingerprint;
}

void CheckpointCommitter::on(const comm::ShardWritten& shard) {
  auto [found, is_new] = attempts_.try_emplace(shard.step);
  Attempt& attempt = found->second;
  if (is_new) attempt.begun = now();
  attempt.shards.emplace(shard.rank, shard);
  if (static_cast<std::int64_t>(attempt.shards.size()) < world_size_) return;
  settle(shard.step, attempt);
  attempts_.erase(found);
}

void CheckpointCommitter::settle(std::int64_t step, Attempt& attempt) {
  std::string error = first_error(attempt.shards);
  if (error.empty()) error = first_disagreement(attempt.shards);
  if (!error.empty()) return abandon(step, attempt, error);
  tell(CheckpointSettled{commit(step, attempt)});
}

CheckpointView CheckpointCommitter::commit(std::int64_t step, Attempt& attempt) {
  CheckpointView view;
  view.step = step;
  try {
    CheckpointAttempt complete{epoch_, step, numerics_fingerprint_, {}};
    for (auto& [rank, shard] : attempt.shards) complete.shards.push_back(std::move(shard));
    CommittedCheckpoint committed = commits_.commit(complete);
    view.path = std::move(committed.path);
    view.bytes = committed.bytes;
  } catch (const Error& error) {
    view.error = error.what();  // a full disk must not end the run
  }
  view.seconds = seconds(now() - attempt.begun);
  return view;
}

void CheckpointCommitter::abandon(std::int64_t step, const Attempt& attempt, const std::string& error) {
  CheckpointView view;
  view.step = step;
  view.error = error;
  try {
    commits_.abandon(step, epoch_);
  } catch (const Error& failure) {
    view.error += fmt::format("; its files could not be removed: {}", failure.what());
  }
  view.seconds = seconds(now() - attempt.begun);
  tell(CheckpointSettled{std::move(view)});
}

void CheckpointCommitter::on(const FinishCommits&) {
  for (const auto& [step, attempt] : attempts_) {
    const std::string own = first_error(attempt.shards);
    abandon(step, attempt, own.empty() ? "not every worker wrote its part" : own);
  }
  attempts_.clear();
  tell(CommitsFinished{});
}

}  // namespace troupe::coordinator
