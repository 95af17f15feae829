#include <algorithm>
#include <numeric>

#include "base/index.h"
#include "experts/aux_loss/load_balance.h"
#include "experts/router/top_k.h"
#include "experts/rows.h"

namespace troupe::experts {

void load_frequencies(std::span<const std::int64_t> counts, std::span<double> frequencies) {
  const std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (total == 0) {
    std::ranges::fill(frequencies, 1.0 / static_cast<double>(frequencies.size()));
    return;
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    frequencies[i] = static_cast<double>(counts[i]) / static_cast<double>(total);
  }
}

namespace {

/// (token, slot) pairs that a scope counts; empty: none yet.
std::span<const std::int64_t> counts_of(const AuxInput& input, AuxScope scope, bool actual) {
  const PairCounts& all = actual ? input.step.counts : input.step.unbiased_counts;
  switch (scope) {
    case AuxScope::kGlobal:
      return all.global;
    case AuxScope::kRunning:
      return all.running;
    case AuxScope::kPrevious:
      return all.previous;
    case AuxScope::kMicro:
    case AuxScope::kSequence:
      break;
  }
  return actual ? input.routing.counts : input.routing.unbiased_counts;
}

/// The same f for all tokens of the microbatch.
class OneFrequency final : public LoadFrequencies {
 public:
  explicit OneFrequency(const AuxLossOptions& options)
      : scope_(options.scope), actual_(options.f_source == FrequencySource::kActual) {}
  [[nodiscard]] std::int64_t stretch(const Pass& /*pass*/, std::int64_t tokens) const override {
    return std::max<std::int64_t>(tokens, 1);
  }
  void fill(const Pass& /*pass*/, const AuxInput& input, std::span<double> frequencies) override {
    load_frequencies(counts_of(input, scope_, actual_), frequencies);
  }

 private:
  AuxScope scope_;
  bool actual_;
};

/// Of each sequence by itself.
class SequenceFrequency : public LoadFrequencies {
 public:
  explicit SequenceFrequency(std::int64_t choices) : counts_(at(choices)) {}
  [[nodiscard]] std::int64_t stretch(const Pass& pass, std::int64_t /*tokens*/) const final {
    return pass.microbatch.sequence_length;
  }
  void fill(const Pass& pass, const AuxInput& input, std::span<double> frequencies) final {
    const std::int64_t length = pass.microbatch.sequence_length;
    for (std::size_t s = 0; s * counts_.size() < frequencies.size(); ++s) {
      std::ranges::fill(counts_, 0);
      const std::int64_t first = static_cast<std::int64_t>(s) * length;
      for (std::int64_t token = first; token < first + length; ++token) {
        for (const std::int32_t choice : choices_of(input, token))
          if (choice >= 0) ++counts_[at(choice)];
      }
      load_frequencies(counts_, frequencies.subspan(s * counts_.size(), counts_.size()));
    }
  }

 private:
  [[nodiscard]] virtual std::span<const std::int32_t> choices_of(const AuxInput& input,
                                                                 std::int64_t token) = 0;
  std::vector<std::int64_t> counts_;  // [choices]
};

/// By the routing that is used.
class ActualSequenceFrequency final : public SequenceFrequency {
 public:
  using SequenceFrequency::SequenceFrequency;

 private:
  [[nodiscard]] std::span<const std::int32_t> choices_of(const AuxInput& input, std::int64_t token) override {
    return ids(ConstTensorView(input.routing.chosen), token);
  }
};

/// By plain top-k of the raw scores.
class UnbiasedSequenceFrequency final : public SequenceFrequency {
 public:
  UnbiasedSequenceFrequency(std::int64_t k, std::int64_t choices)
      : SequenceFrequency(choices), chosen_(at(k)), scratch_(at(k)) {}

 private:
  [[nodiscard]] std::span<const std::int32_t> choices_of(const AuxInput& input, std::int64_t token) override {
    top_k(row(input.routing.scores, token), chosen_, scratch_);
    return chosen_;
  }
  std::vector<std::int32_t> chosen_;  // [k]
  std::vector<float> scratch_;        // [k]
};

}  // namespace

std::unique_ptr<LoadFrequencies> make_load_frequencies(const AuxLossOptions& options, std::int64_t top_k,
                                                       std::int64_t choices) {
  if (options.scope != AuxScope::kSequence) return std::make_unique<OneFrequency>(options);
  if (options.f_source == FrequencySource::kActual) return std::make_unique<ActualSequenceFrequency>(choices);
  return std::make_unique<UnbiasedSequenceFrequency>(top_k, choices);
}

}  // namespace troupe::experts
