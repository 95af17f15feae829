#include "workers/step/step_exchange.h"

#include <algorithm>
#include <bit>

#include "base/index.h"

namespace troupe::workers {

StepExchange::StepExchange(std::int64_t counts, std::int64_t values, int workers)
    : counts_(at(counts)),
      values_(at(values)),
      workers_(at(workers)),
      words_(counts_ + values_ + workers_ * kControlFields) {}

void StepExchange::clear() { std::ranges::fill(words_, 0); }

void StepExchange::set_value(std::int64_t index, double value) {
  words_[counts_ + at(index)] = std::bit_cast<std::int64_t>(value);
}

double StepExchange::value(std::int64_t index) const {
  return std::bit_cast<double>(words_[counts_ + at(index)]);
}

void StepExchange::set_control(int worker, const ControlWord& control) {
  const std::size_t first = counts_ + values_ + at(worker) * kControlFields;
  words_[first] = control.stop;
  words_[first + 1] = control.plan_version;
}

ControlWord StepExchange::control() const {
  ControlWord result;
  for (std::size_t worker = 0; worker < workers_; ++worker) {
    const std::size_t at = counts_ + values_ + worker * kControlFields;
    result.stop = std::max(result.stop, words_[at]);
    result.plan_version = std::max(result.plan_version, words_[at + 1]);
  }
  return result;
}

}  // namespace troupe::workers
