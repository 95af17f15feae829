#include "tensor/profile.h"

#include <omp.h>

#include <utility>

#include "base/index.h"
#include "base/progress.h"
#include "tensor/accelerator.h"

namespace troupe {

Profile::Profile(const Clock& clock, int threads, bool counts_ops)
    : clock_(clock), counts_ops_(counts_ops), since_(clock.now()), work_(at(threads)) {}

void Profile::reset() {
  phase_ = Phase::kOther;
  since_ = clock_.now();
  seconds_ = {};
  for (Phases& phases : work_) phases = {};
}

PhaseSeconds Profile::seconds() {
  enter(phase_);
  return seconds_;
}

OpWork Profile::work(Phase phase, OpKind op) const {
  OpWork sum;
  for (const Phases& phases : work_) {
    const OpWork& one = phases[at(phase)][at(op)];
    sum.thread_seconds += one.thread_seconds;
    sum.calls += one.calls;
    sum.flop += one.flop;
  }
  return sum;
}

Phase Profile::enter(Phase phase) {
  if (!held_) progress::set_phase(kPhaseNames[at(phase)]);
  const TimePoint now = clock_.now();
  seconds_[at(phase_)] += troupe::seconds(now - since_);
  since_ = now;
  return held_ ? phase_ : std::exchange(phase_, phase);
}

void Profile::add(OpKind op, TimePoint start, double flop) {
  const bool alone = omp_in_parallel() != 0;
  const auto thread = alone ? at(omp_get_thread_num()) : 0;
  OpWork& work = work_.at(thread)[at(phase_)][at(op)];
  work.thread_seconds +=
      troupe::seconds(clock_.now() - start) * (alone ? 1.0 : static_cast<double>(threads()));
  ++work.calls;
  work.flop += flop;
}

void OpScope::finish() {
  if (accelerator_ != nullptr) accelerator_->synchronize();
  profile_->add(op_, start_, flop_);
}

}  // namespace troupe
