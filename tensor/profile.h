#pragma once
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "tensor/execution.h"

namespace troupe {

/// Disjoint parts of a training step.
enum class Phase : std::uint8_t {
  kOther,
  kLoad,
  kForward,   // attention, dense layers, shared experts, head
  kRouter,    // scores, choice, weights, auxiliary losses; both directions
  kDispatch,  // tokens to experts, and gradients in backward: sorting, waiting for bytes
  kExpert,    // routed experts' feed-forwards, both directions
  kCombine,   // the way back, and the weighted sum
  kBackward,
  kReduce,
  kUpdate,
  kForwardAgain,  // of microbatches that are not held until their backward: all of it
};
inline constexpr std::array kPhaseNames{"other",   "load",     "forward", "router", "dispatch",     "expert",
                                        "combine", "backward", "reduce",  "update", "forward_again"};

enum class OpKind : std::uint8_t {
  kGemm,
  kAttention,
  kNorm,
  kRope,
  kActivation,
  kCrossEntropy,
  kEmbedding,
  kRows,  // gathered, combined and scattered
  kElementwise,
  kAdamW,
};
inline constexpr std::array kOpNames{"gemm",          "attention", "norm", "rope",        "activation",
                                     "cross_entropy", "embedding", "rows", "elementwise", "adamw"};

using PhaseSeconds = std::array<double, kPhaseNames.size()>;

/// What ops of one kind took and did.
struct OpWork {
  double thread_seconds = 0.0;  // times the threads that an op had for itself
  std::int64_t calls = 0;
  double flop = 0.0;  // of products only
};

/// Where the time of one compute thread, and of the threads that it works with, goes. Phases are always
/// timed; ops only when asked, as every small product is one. A phase is entered by a PhaseScope, and an
/// inner scope stops the outer one's time, so phases add up to the whole.
class Profile {
 public:
  /// `clock` must outlive it.
  explicit Profile(const Clock& clock, int threads = 1, bool counts_ops = false);

  /// Starts again from zero, now, in Phase::kOther.
  void reset();
  /// Of every phase since reset(), until now.
  [[nodiscard]] PhaseSeconds seconds();
  [[nodiscard]] OpWork work(Phase phase, OpKind op) const;
  [[nodiscard]] int threads() const { return static_cast<int>(work_.size()); }

  /// Returns the phase that it ends. From the compute thread, outside a parallel region.
  Phase enter(Phase phase);
  /// Until it is called with false, all time is the present phase's. Returns what was before.
  bool hold(bool held) { return std::exchange(held_, held); }

  [[nodiscard]] bool counts_ops() const { return counts_ops_; }
  [[nodiscard]] TimePoint now() const { return clock_.now(); }
  /// From any thread of a parallel region, or from the compute thread outside one.
  void add(OpKind op, TimePoint start, double flop);

 private:
  using Ops = std::array<OpWork, kOpNames.size()>;
  using Phases = std::array<Ops, kPhaseNames.size()>;

  const Clock& clock_;
  bool counts_ops_;
  Phase phase_ = Phase::kOther;
  bool held_ = false;  // scopes inside do not count by themselves
  TimePoint since_;
  PhaseSeconds seconds_{};
  std::vector<Phases> work_;  // [threads]
};

/// Counts its scope for a phase; nothing without a profile.
class PhaseScope {
 public:
  PhaseScope(const Execution& execution, Phase phase)
      : profile_(execution.profile), outer_(profile_ == nullptr ? phase : profile_->enter(phase)) {}
  ~PhaseScope() {
    if (profile_ != nullptr) profile_->enter(outer_);
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  Profile* profile_;
  Phase outer_;
};

/// Counts its scope for a phase, scopes inside it too.
class WholePhaseScope {
 public:
  WholePhaseScope(const Execution& execution, Phase phase)
      : scope_(execution, phase),
        profile_(execution.profile),
        outer_(profile_ != nullptr && profile_->hold(true)) {}
  ~WholePhaseScope() {
    if (profile_ != nullptr) profile_->hold(outer_);
  }
  WholePhaseScope(const WholePhaseScope&) = delete;
  WholePhaseScope& operator=(const WholePhaseScope&) = delete;

 private:
  PhaseScope scope_;
  Profile* profile_;
  bool outer_;
};

/// Counts its scope for an op: the first line of every op.
class OpScope {
 public:
  OpScope(const Execution& execution, OpKind op, double flop = 0.0)
      : profile_(execution.profile != nullptr && execution.profile->counts_ops() ? execution.profile
                                                                                 : nullptr),
        accelerator_(execution.accelerator),
        op_(op),
        flop_(flop) {
    if (profile_ != nullptr) start_ = profile_->now();
  }
  ~OpScope() {
    if (profile_ != nullptr) finish();
  }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  /// On a device the op has run only then; waiting is part of counting.
  void finish();

  Profile* profile_;
  Accelerator* accelerator_;
  OpKind op_;
  double flop_;
  TimePoint start_;
};

}  // namespace troupe
