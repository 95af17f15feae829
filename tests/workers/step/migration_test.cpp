// Experts change workers in mid-run, and nothing of the run changes.
#include "workers/step/migration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "base/random.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "model/parameters.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/workers/marked_values.h"
#include "workers/step/expert_placer.h"

namespace troupe::workers {
namespace {

constexpr int kSteps = 4;

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = test::tiny_dataset();
  return dataset;
}

TrainingOptions uneven_options() {
  TrainingOptions options = test::tiny_options(dataset());
  options.model.moe.experts = 23;
  options.seed = 5;  // whose routers use experts unevenly enough to move some
  return options;
}

const test::TrainingRecord& expected() {
  static const auto record = test::train_inproc(uneven_options(), dataset(), {1, 1, 1}, kSteps);
  return record;
}

/// Every layer shuffled on its own; positions keep their numbers of experts.
layout::Placement shuffled(const layout::Layout& layout, std::size_t layers, std::int64_t number) {
  layout::Placement placement;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const Random random(5, RandomPurpose::kTest,
                        static_cast<std::uint32_t>(number * 100) + static_cast<std::uint32_t>(layer));
    const auto contiguous = layout::LayerPlacement::contiguous(layout.experts(), layout.expert_parallel());
    std::vector<int> position_of;
    for (int e = 0; e < layout.experts(); ++e) position_of.push_back(contiguous.position(e));
    for (std::size_t i = position_of.size(); i > 1; --i)
      std::swap(position_of[i - 1], position_of[random.below(i, i)]);
    placement.emplace_back(layout.expert_parallel(), position_of);
  }
  return placement;
}

void expect_same(const test::TrainingRecord& actual) {
  ASSERT_EQ(actual.steps.size(), expected().steps.size());
  for (std::size_t step = 0; step < actual.steps.size(); ++step) {
    EXPECT_TRUE(actual.steps[step] == expected().steps[step]) << "step " << step + 1;
  }
  EXPECT_TRUE(actual.weights == expected().weights);
}

class Migration : public ::testing::TestWithParam<test::WorkerLayout> {};

TEST_P(Migration, ChangesNoBitOfTheRun) {
  const auto options = uneven_options();
  const auto layers = static_cast<std::size_t>(model::moe_layers(options.model));
  const auto move = [&](Trainer& trainer, const StepResult& result) {
    trainer.place_experts(shuffled(trainer.model().layout(), layers, result.step));
  };
  expect_same(test::train_inproc(options, dataset(), GetParam(), kSteps, move));
}

TEST(MigrationBetweenNodes, ChangesNoBitOfTheRun) {
  auto options = uneven_options();
  options.dispatch.hierarchical = true;
  options.dispatch.workers_per_node = 2;
  options.dispatch.max_bytes = 4096;
  const auto layers = static_cast<std::size_t>(model::moe_layers(options.model));
  const auto move = [&](Trainer& trainer, const StepResult& result) {
    trainer.place_experts(shuffled(trainer.model().layout(), layers, result.step));
  };
  expect_same(test::train_inproc(options, dataset(), {4, 4, 1}, kSteps, move));
}

TEST_P(Migration, ByMeasuredLoadChangesNoBitOfTheRun) {
  std::vector<std::unique_ptr<ExpertPlacer>> placers(static_cast<std::size_t>(GetParam().workers));
  const auto place = [&](Trainer& trainer, const StepResult& result) {
    auto& placer = placers[static_cast<std::size_t>(trainer.model().rank())];
    if (!placer) placer = std::make_unique<ExpertPlacer>(trainer, 1);
    placer->after(result);
    const layout::Layout& layout = trainer.model().layout();
    const auto contiguous = layout::LayerPlacement::contiguous(23, layout.expert_parallel());
    const bool moved = layout.placement(0) != contiguous || layout.placement(1) != contiguous;
    if (result.step == kSteps) {
      EXPECT_EQ(moved, layout.expert_parallel() > 1);
    }
  };
  expect_same(test::train_inproc(uneven_options(), dataset(), GetParam(), kSteps, place));
}

INSTANTIATE_TEST_SUITE_P(Layouts, Migration,
                         ::testing::Values(test::WorkerLayout{2, 2, 1}, test::WorkerLayout{3, 3, 1},
                                           test::WorkerLayout{4, 2, 1}, test::WorkerLayout{5, 5, 1},
                                           test::WorkerLayout{8, 2, 1}, test::WorkerLayout{2, 1, 1}),
                         [](const auto& instance) {
                           return std::to_string(instance.param.workers) + "workers" +
                                  std::to_string(instance.param.expert_parallel) + "expert_parallel";
                         });

void mark(model::Model& model, TrainingState& state) {
  const auto fill = [&](Partition::Slice slice, std::span<float> values, std::uint32_t kind) {
    for_each_stretch(
        model.expert_table(), slice,
        [&](const ParameterSpec& spec, std::int64_t element, std::int64_t at, std::int64_t length) {
          for (std::int64_t i = 0; i < length; ++i)
            values[static_cast<std::size_t>(at - slice.begin + i)] = marked_value(spec, element + i, kind);
        });
  };
  fill({0, model.expert_table().buffer_elements()}, model.expert_values(), 0);
  fill(state.partition.expert_slice(), state.expert_adamw.first_moment(), 1);
  fill(state.partition.expert_slice(), state.expert_adamw.second_moment(), 2);
}

// Of one worker; a model in a layout, with its marks.
struct Marked {
  Marked(const TrainingOptions& options, const layout::Layout& layout, comm::Communicator& world,
         const Clock& clock)
      : model(model_setup(options, layout, 0), layout, world, clock), state(options, model) {
    mark(model, state);
  }
  model::Model model;
  TrainingState state;
};

void expect_same(Marked& actual, Marked& wanted) {
  EXPECT_TRUE(std::ranges::equal(actual.model.expert_values(), wanted.model.expert_values()));
  EXPECT_TRUE(
      std::ranges::equal(actual.state.expert_adamw.first_moment(), wanted.state.expert_adamw.first_moment()));
  EXPECT_TRUE(std::ranges::equal(actual.state.expert_adamw.second_moment(),
                                 wanted.state.expert_adamw.second_moment()));
}

// Several chunks an expert, so that replicas' slices begin inside experts.
TEST(MigrateExperts, CarriesWeightsAndMomentsAcrossReplicaSlices) {
  TrainingOptions options = test::tiny_options(dataset());
  options.model.moe.experts = 5;
  options.model.moe.expert_size = 2200;
  const layout::Layout from(options.batch, 6, 2, 5);
  const auto layers = static_cast<std::size_t>(model::moe_layers(options.model));
  const layout::Layout to = from.with_placement(shuffled(from, layers, 7));
  auto group = comm::make_inproc_group(6);
  const SystemClock clock;
  std::vector<std::jthread> threads;
  for (auto& communicator : group) {
    threads.emplace_back([&, world = std::move(communicator)] {
      Marked moved(options, from, *world, clock);
      EXPECT_GT(migrate_experts(options, to, moved.model, moved.state), 0);
      Marked wanted(options, to, *world, clock);
      expect_same(moved, wanted);
    });
  }
}

TEST(MigrateExperts, RefusesAPlacementThatDoesNotFit) {
  const auto options = uneven_options();
  const auto crowd = [](Trainer& trainer, const StepResult&) {
    const layout::Placement crowded(2, layout::LayerPlacement(2, std::vector<int>(23, 0)));
    EXPECT_THROW(trainer.place_experts(crowded), Error);
  };
  test::train_inproc(options, dataset(), {2, 2, 1}, 1, crowd);
}

}  // namespace
}  // namespace troupe::workers
