#include "workers/step/step_exchange.h"

#include <algorithm>

#include "base/index.h"
#include "workers/step/exact_sum.h"

#include "base/index.h"

namespace troupe::workers {

std::int64_t StepExchange::words(std::int64_t counts, std::int64_t sums, std::int64_t workers) {
  return counts + sums * static_cast<std::int64_t>(exact_sum::kWords) +
         workers * static_cast<std::int64_t>(kControlFields);
}

StepExchange::StepExchange(std::int64_t counts, std::int64_t sums, int workers)
    : counts_(at(counts)),
      first_control_(counts_ + at(sums) * exact_sum::kWords),
      workers_(at(workers)),
      words_(at(words(counts, sums, workers))) {}

void StepExchange::clear() { std::ranges::fill(words_, 0); }

void StepExchange::add(std::int64_t index, double value) {
  exact_sum::add(value,
                 std::span(words_).subspan(counts_ + at(index) * exact_sum::kWords, exact_sum::kWords));
}

double StepExchange::sum(std::int64_t index) const {
  return exact_sum::value_of(
      std::span(words_).subspan(counts_ + at(index) * exact_sum::kWords, exact_sum::kWords));
}

void StepExchange::set_control(int worker, const ControlWord& control) {
  const std::size_t word = first_control_ + at(worker) * kControlFields;
  words_[word] = control.stop;
  words_[word + 1] = control.plan_version;
}

ControlWord StepExchange::control() const {
  ControlWord result;
  for (std::size_t worker = 0; worker < workers_; ++worker) {
    const std::size_t word = first_control_ + worker * kControlFields;
    result.stop = std::max(result.stop, words_[word]);
    result.plan_version = std::max(result.plan_version, words_[word + 1]);
  }
  return result;
}

}  // namespace troupe::workers
