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

/// The one integer all-reduce of a step (docs/architecture.md, "Layout invariance"): load counts, fp64
/// values that exactly one worker fills each (their bits are summed with zeros, which is exact), and
/// control words. clear(), fill, reduce(), read. No allocation after construction.
class StepExchange {
 public:
  /// values: number of fp64 values.
  StepExchange(std::int64_t counts, std::int64_t values, int workers);

  void clear();
  /// Summed over workers.
  [[nodiscard]] std::span<std::int64_t> counts() { return std::span(words_).first(counts_); }
  /// Value `index`; set by one worker at most between clear() and reduce().
  void set_value(std::int64_t index, double value);
  [[nodiscard]] double value(std::int64_t index) const;
  void set_control(int worker, const ControlWord& control);
  /// Maximum over workers, field by field.
  [[nodiscard]] ControlWord control() const;

  void reduce(comm::Communicator& world) { world.all_reduce_sum(words_); }

 private:
  static constexpr std::size_t kControlFields = 2;

  std::size_t counts_;
  std::size_t values_;
  std::size_t workers_;
  std::vector<std::int64_t> words_;
};

}  // namespace troupe::workers
