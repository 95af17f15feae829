// The layout contract over a table of configurations that holds every pair of options' values.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>

#include "cli/run/training_setup.h"
#include "configs/load.h"
#include "layout/placement_plan.h"
#include "tests/end_to_end/configuration_table.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/step/trainer.h"

namespace troupe::test {
namespace {

constexpr int kSteps = 3;

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = tiny_dataset();
  return dataset;
}

configs::RunConfig config_of(const Row& row) {
  return configs::load_config(TROUPE_SOURCE_DIR "/configs/tiny.yaml", settings(row));
}

workers::TrainingOptions options_of(const configs::RunConfig& config) {
  return cli::training_options(config, (dataset().header().vocab_size + 127) / 128 * 128);
}

using Between = std::function<void(workers::Trainer&, const workers::StepResult&)>;

/// Moves experts after every step, however little it gains.
void place_by_load(workers::Trainer& trainer, const workers::StepResult& step) {
  trainer.place_experts(layout::plan_placement(trainer.model().layout().placements(
                                                   static_cast<std::size_t>(step.load.counts.layers())),
                                               step.load.counts, 0)
                            .placement);
}

TEST(ConfigurationTable, HoldsEveryPairOfValuesThatIsNotRefused) {
  const auto& [rows, refused] = configuration_table();
  EXPECT_GE(rows.size(), 30U);
  const auto holds = [&](std::size_t factor, std::size_t value) {
    return std::ranges::any_of(rows, [&](const Row& row) { return row[factor] == value; });
  };
  for (std::size_t factor = 0; factor < factors().size(); ++factor) {
    for (std::size_t value = 0; value < factors()[factor].values.size(); ++value) {
      EXPECT_TRUE(holds(factor, value))
          << factors()[factor].name << "=" << factors()[factor].values[value].name << " is never accepted";
    }
  }
  std::cout << rows.size() << " configurations; refused pairs:\n";
  for (const auto& [a, i, b, j] : refused) {
    std::cout << "  " << factors()[a].name << "=" << factors()[a].values[i].name << " with "
              << factors()[b].name << "=" << factors()[b].values[j].name << "\n";
  }
}

class ConfigurationInvariance : public ::testing::TestWithParam<std::size_t> {};

TEST_P(ConfigurationInvariance, EveryLayoutGivesTheSameBits) {
  constexpr std::array<WorkerLayout, 5> kLayouts{
      {{4, 2, 2, true}, {3, 3, 1}, {8, 4, 1, true}, {2, 2, 2}, {5, 5, 1, true}}};
  const Row& row = configuration_table().rows[GetParam()];
  SCOPED_TRACE(describe(row));
  const configs::RunConfig config = config_of(row);
  const auto options = options_of(config);
  const bool moves = config.parallel.placement == layout::PlacementKind::kBalanced;
  const TrainingRecord expected = train_inproc(options, dataset(), {1, 1, 1}, kSteps);
  const TrainingRecord actual = train_inproc(options, dataset(), kLayouts[GetParam() % kLayouts.size()],
                                             kSteps, moves ? Between(place_by_load) : Between{});
  ASSERT_EQ(actual.steps.size(), static_cast<std::size_t>(kSteps));
  for (std::size_t step = 0; step < actual.steps.size(); ++step)
    EXPECT_TRUE(actual.steps[step] == expected.steps[step]) << "step " << step + 1;
  EXPECT_TRUE(actual.weights == expected.weights);
}

INSTANTIATE_TEST_SUITE_P(Rows, ConfigurationInvariance,
                         ::testing::Range(std::size_t{0}, configuration_table().rows.size()));

}  // namespace
}  // namespace troupe::test
