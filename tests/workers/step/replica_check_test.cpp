#include "workers/step/replica_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <thread>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/step/trainer.h"
#include "workers/training_data.h"

namespace troupe::workers {
namespace {

using storage::Hash128;
using ::testing::HasSubstr;

constexpr Hash128 kRight{1, 2};
constexpr Hash128 kWrong{1, 3};

TEST(FindDeviation, WhoIsNotLikeMostDeviates) {
  EXPECT_EQ(find_deviation({{kRight, kRight, kRight}}, {{0, 0, 0}}), std::nullopt);
  EXPECT_EQ(find_deviation({{kRight, kWrong, kRight}}, {{0, 0, 0}}), (Deviation{{1}, true}));
  EXPECT_EQ(find_deviation({{kWrong, kRight, kRight, Hash128{}}}, {{0, 0, 0, 0}}),
            (Deviation{{0, 1, 2, 3}, false}));
  EXPECT_EQ(find_deviation({{kWrong, kRight, kRight, kRight, Hash128{}}}, {{0, 0, 0, 0, 0}}),
            (Deviation{{0, 4}, true}));
}

TEST(FindDeviation, OfTwoNobodyCanTell) {
  EXPECT_EQ(find_deviation({{kRight, kWrong}}, {{0, 0}}), (Deviation{{0, 1}, false}));
}

TEST(FindDeviation, OnlyWhoHoldsTheSameIsCompared) {
  EXPECT_EQ(find_deviation({{kRight, kWrong, kRight, kWrong}}, {{0, 1, 0, 1}}), std::nullopt);
  EXPECT_EQ(find_deviation({{kRight, kWrong, kRight, kRight}}, {{0, 1, 0, 1}}), (Deviation{{1, 3}, false}));
}

/// Trains a step on each of so many workers, one of which has a flipped bit, and returns what each says.
std::vector<std::string> steps_with_a_flip(int workers, std::int64_t verify_every) {
  TrainingOptions options = test::tiny_options(test::tiny_dataset());
  options.verify_every = verify_every;
  const TrainingData data(TROUPE_SOURCE_DIR "/tests/data/tiny", options);
  const layout::Layout layout(options.batch, workers, workers, static_cast<int>(options.model.moe.experts));
  auto group = comm::make_inproc_group(workers);
  std::vector<std::string> said(group.size());
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < group.size(); ++i) {
    threads.emplace_back([&, i, world = group[i].get()] {
      const SystemClock clock;
      model::Model model(model_setup(options, layout, std::ssize(data.train.header().domain_names)), layout,
                         *world, clock);
      model.initialize();
      Trainer trainer(options, model, data.loader(options, {}));
      if (world->rank() == 1) model.dense_values()[17] += 1e-7F;
      try {
        trainer.step({});
        said[i] = "nothing";
      } catch (const ReplicaMismatch& error) {
        said[i] = std::string(error.by_majority() ? "deviates: " : "disagrees: ") + error.what();
      } catch (const Error& error) {
        said[i] = error.what();
      }
    });
  }
  threads.clear();
  return said;
}

TEST(ReplicaCheck, AFlippedBitIsFoundAndItsWorkerNamed) {
  const auto said = steps_with_a_flip(3, 1);
  EXPECT_THAT(said[1],
              HasSubstr("deviates: in step 1, worker 1 holds other dense parameters than the other workers"));
  EXPECT_THAT(said[0], ::testing::StartsWith("in step 1, worker 1 holds"));
  EXPECT_EQ(said[0], said[2]);
}

TEST(ReplicaCheck, OfTwoBothAreNamed) {
  const auto said = steps_with_a_flip(2, 1);
  for (const std::string& one : said)
    EXPECT_THAT(one, HasSubstr("disagrees: in step 1, workers 0, 1 hold other dense"));
}

TEST(ReplicaCheck, OnlyEverySoManySteps) {
  for (const std::string& one : steps_with_a_flip(2, 2)) EXPECT_EQ(one, "nothing");
}

}  // namespace
}  // namespace troupe::workers
