#pragma once
#include <atomic>
#include <cstdint>

#include "base/fault_points.h"

/// Where a compute thread is: what its process tells of it several times a second, so that one that does not
/// get on can be named with the place that it sits at.
namespace troupe::progress {

/// Written by one thread, read by any. A few plain stores each time; values read together may be a moment
/// apart, which does not matter of a thread that stands still.
struct Word {
  std::int64_t rank = 0;
  std::atomic<std::int64_t> step = 0;                // that it works on
  std::atomic<const char*> phase = "other";          // of the step: a constant
  std::atomic<std::int64_t> layer = -1;              // among all of the model; -1: none
  std::atomic<const char*> collective = nullptr;     // that it waits in: a constant
  std::atomic<std::uint64_t> collectives_begun = 0;  // the same on all ranks at the same place
  std::atomic<std::uint64_t> moves = 0;              // rises whenever anything of this changes
};

/// Of this thread; null: nobody asks.
inline constinit thread_local Word* of_this_thread = nullptr;

namespace detail {

inline void moved(Word& word) {
  word.moves.store(word.moves.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace detail

/// phase: a constant
inline void set_phase(const char* phase) {
  Word* word = of_this_thread;
  if (word == nullptr) return;
  word->phase.store(phase, std::memory_order_relaxed);
  detail::moved(*word);
  fault_points::reach(phase, word->rank, word->step.load(std::memory_order_relaxed));
}

inline void set_layer(std::int64_t layer) {
  Word* word = of_this_thread;
  if (word == nullptr) return;
  word->layer.store(layer, std::memory_order_relaxed);
  detail::moved(*word);
}

inline void set_step(std::int64_t step) {
  Word* word = of_this_thread;
  if (word == nullptr) return;
  word->step.store(step, std::memory_order_relaxed);
  word->layer.store(-1, std::memory_order_relaxed);
  detail::moved(*word);
}

/// While it lives, the thread waits in a collective. name: a constant
class CollectiveScope {
 public:
  explicit CollectiveScope(const char* name) : word_(of_this_thread) {
    if (word_ == nullptr) return;
    fault_points::reach(name, word_->rank, word_->step.load(std::memory_order_relaxed));
    const auto begun = word_->collectives_begun.load(std::memory_order_relaxed);
    word_->collectives_begun.store(begun + 1, std::memory_order_relaxed);
    word_->collective.store(name, std::memory_order_relaxed);
    detail::moved(*word_);
  }
  ~CollectiveScope() {
    if (word_ == nullptr) return;
    word_->collective.store(nullptr, std::memory_order_relaxed);
    detail::moved(*word_);
  }
  CollectiveScope(const CollectiveScope&) = delete;
  CollectiveScope& operator=(const CollectiveScope&) = delete;

 private:
  Word* word_;
};

}  // namespace troupe::progress
