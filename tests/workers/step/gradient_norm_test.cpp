// One norm, and one list of what was not finite, whoever owns the gradient.
#include "workers/step/gradient_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <thread>

#include "base/index.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/workers/marked_values.h"

namespace troupe::workers {
namespace {

using Spoil = std::function<bool(const ParameterSpec&)>;

struct Outcome {
  std::uint64_t norm_bits;
  std::vector<std::string> not_finite;
  bool operator==(const Outcome&) const = default;
};

/// A gradient of marks; the parameters that `spoil` picks have an infinite first element.
std::vector<float> gradient_of(const ParameterTable& table, Partition::Slice slice, const Spoil& spoil) {
  std::vector<float> gradient(at(slice.end - slice.begin));
  for_each_stretch(
      table, slice,
      [&](const ParameterSpec& spec, std::int64_t element, std::int64_t begin, std::int64_t length) {
        for (std::int64_t i = 0; i < length; ++i)
          gradient[at(begin - slice.begin + i)] = marked_value(spec, element + i, 0);
        if (spoil(spec) && element == spec.global_begin())
          gradient[at(begin - slice.begin)] = std::numeric_limits<float>::infinity();
      });
  return gradient;
}

Outcome outcome_of(const test::WorkerLayout& shape, const Spoil& spoil) {
  TrainingOptions options = test::tiny_options(test::tiny_dataset());
  options.vocab_size = 4096;  // an embedding of two chunks
  const layout::Layout layout(options.batch, shape.workers, shape.expert_parallel,
                              static_cast<int>(options.model.moe.experts));
  std::mutex mutex;
  std::vector<Outcome> outcomes;
  std::vector<std::jthread> threads;
  for (auto& communicator : comm::make_inproc_group(shape.workers)) {
    threads.emplace_back([&, world = std::move(communicator)] {
      const SystemClock clock;
      model::Model model(model_setup(options, layout, 0), layout, *world, clock);
      const Partition partition(model);
      GradientNorm norm(model, partition, 0);
      StepExchange exchange(0, GradientNorm::kSums, shape.workers);
      for (int step = 0; step < 2; ++step) {  // the second sees nothing of the first
        const Spoil& wanted = step == 0 ? [](const ParameterSpec&) { return true; } : spoil;
        exchange.clear();
        norm.add(gradient_of(model.dense_table(), partition.dense_slice(), wanted),
                 gradient_of(model.expert_table(), partition.expert_slice(), wanted), exchange);
        exchange.reduce(*world);
      }
      const Outcome outcome{std::bit_cast<std::uint64_t>(norm.norm(exchange)), norm.not_finite()};
      const std::scoped_lock lock(mutex);
      outcomes.push_back(outcome);
    });
  }
  threads.clear();
  for (const Outcome& each : outcomes) EXPECT_TRUE(each == outcomes.front()) << "workers differ";
  return outcomes.front();
}

const std::vector<test::WorkerLayout> kLayouts{{1, 1, 1}, {2, 2, 1}, {3, 1, 2}, {4, 2, 1}, {8, 8, 1}};

TEST(GradientNorm, HasTheSameBitsForEveryLayout) {
  const Spoil nothing = [](const ParameterSpec&) { return false; };
  const Outcome expected = outcome_of({1, 1, 1}, nothing);
  EXPECT_TRUE(expected.not_finite.empty());
  EXPECT_GT(std::bit_cast<double>(expected.norm_bits), 100.0);
  for (const auto& layout : kLayouts) EXPECT_EQ(outcome_of(layout, nothing), expected) << layout.workers;
}

TEST(GradientNorm, NamesOnAllWorkersWhatAnyOfThemFoundNotFinite) {
  const Spoil two = [](const ParameterSpec& spec) {
    return spec.name == "final_norm/weight" || (spec.expert == 5 && spec.layer == 1);
  };
  for (const auto& layout : kLayouts) {
    const Outcome outcome = outcome_of(layout, two);
    EXPECT_TRUE(std::isnan(std::bit_cast<double>(outcome.norm_bits)));
    EXPECT_THAT(outcome.not_finite,
                ::testing::ElementsAre("final_norm/weight", ::testing::HasSubstr("layers/01/experts/"),
                                       ::testing::HasSubstr("layers/01/experts/")));
  }
}

}  // namespace
}  // namespace troupe::workers
