#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"

namespace troupe::workers {

/// What a worker wants at the next step boundary. All workers see the maximum of each field, so they
/// act together.
struct ControlWord {
  std::int64_t stop = 0;          // 1: save and end at this boundary
  std::int64_t plan_version = 0;  // newest plan received
  bool operator==(const ControlWord&) const = default;
};

/// The one integer all-reduce of a step (docs/architecture.md, "Layout invariance"): load counts, exact
/// sums of fp64 values that any workers add to (exact_sum.h), and control words. clear(), fill, reduce(),
/// read. Its size depends neither on the number of values nor, but for two words each, on that of workers.
/// No allocation after construction.
class StepExchange {
 public:
  /// sums: number of exact sums.
  StepExchange(std::int64_t counts, std::int64_t sums, int workers);

  void clear();
  /// Summed over workers.
  [[nodiscard]] std::span<std::int64_t> counts() { return std::span(words_).first(counts_); }
  /// Adds to exact sum `index`.
  void add(std::int64_t index, double value);
  /// Of all workers' values, rounded once; NaN when one of them is not finite.
  [[nodiscard]] double sum(std::int64_t index) const;
  void set_control(int worker, const ControlWord& control);
  /// Maximum over workers, field by field.
  [[nodiscard]] ControlWord control() const;

  void reduce(comm::Communicator& world) { world.all_reduce_sum(words_); }
  /// 8-byte words that travel.
  [[nodiscard]] static std::int64_t words(std::int64_t counts, std::int64_t sums, std::int64_t workers);

 private:
  static constexpr std::size_t kControlFields = 2;

  std::size_t counts_;
  std::size_t first_control_;  // word, after the sums
  std::size_t workers_;
  std::vector<std::int64_t> words_;
};

}  // namespace troupe::workers
