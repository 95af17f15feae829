// What loading a trained model takes, in bytes that are the same on every machine.
#include "cli/run/loaded_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "cli/run/training_setup.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/load.h"
#include "data/tokenizer/tokenizer_json.h"
#include "storage/checkpoint_store.h"
#include "tests/performance/allocation_counter.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/evaluator.h"
#include "workers/sampler.h"

namespace troupe::cli {
namespace {

const std::filesystem::path kCorpus = TROUPE_SOURCE_DIR "/tests/data/tiny";

/// Of values: more than 7 MiB.
configs::RunConfig large_config() {
  const std::vector<std::string> overrides{"model.hidden_size=128", "model.moe.expert_size=96"};
  configs::RunConfig config = configs::load_config(TROUPE_SOURCE_DIR "/configs/tiny.yaml", overrides);
  config.data.corpus = kCorpus.string();
  return config;
}

/// A checkpoint of a new model, and a corpus without any text.
class LoadingAModel : public ::testing::Test {
 protected:
  LoadingAModel()
      : folder_(std::filesystem::path(::testing::TempDir()) / ("loaded_model_" + std::to_string(::getpid()))),
        config_(large_config()) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "corpus");
    std::filesystem::copy_file(kCorpus / data::kTokenizerFile, folder_ / "corpus" / data::kTokenizerFile);
    save();
  }
  ~LoadingAModel() override { std::filesystem::remove_all(folder_); }

  void save() {
    const workers::TrainingOptions options = training_options(config_, read_corpus_facts(config_).vocab_size);
    const auto world = std::move(comm::make_inproc_group(1).front());
    const SystemClock clock;
    const layout::Layout layout(options.batch, 1, 1, static_cast<int>(options.model.moe.experts));
    model::Model model(workers::model_setup(options, layout, 0), layout, *world, clock);
    model.initialize();
    value_bytes_ = static_cast<std::int64_t>(model.dense_values().size_bytes()) +
                   static_cast<std::int64_t>(model.expert_values().size_bytes());
    workers::TrainingState state(options, model);
    storage::CheckpointStore store(folder_ / "checkpoints");
    storage::CheckpointMetadata metadata;
    metadata.step = 3;
    metadata.epoch = 1;
    metadata.config = configs::dump(config_);
    metadata.tokenizer_hash = data::read_tokenizer_json(kCorpus / data::kTokenizerFile).hash();
    const std::vector<storage::ShardDescription> shards{
        workers::save_shards(store.temporary_folder(3, 1), model, state)};
    store.commit(metadata, shards);
  }

  [[nodiscard]] LoadOptions load_options() const {
    return {.path = folder_, .corpus = (folder_ / "corpus").string()};
  }

  std::unique_ptr<comm::Communicator> world_ = std::move(comm::make_inproc_group(1).front());
  std::filesystem::path folder_;
  configs::RunConfig config_;
  std::int64_t value_bytes_ = 0;
};

TEST_F(LoadingAModel, AllocatesItsValuesAndNeitherGradientsNorMoments) {
  const test::AllocationCounter counter;
  const LoadedModel loaded(load_options(), *world_);
  const std::int64_t bytes = counter.bytes();
  EXPECT_GT(value_bytes_, 7 << 20);
  EXPECT_GE(bytes, value_bytes_);
  EXPECT_LT(bytes, value_bytes_ * 3 / 2);  // a gradient or a moment would make it twice the values
}

TEST_F(LoadingAModel, GeneratesWithATokenizerAndNoText) {
  LoadedModel loaded(load_options(), *world_);
  EXPECT_EQ(loaded.step(), 3);
  workers::Sampler sampler(loaded.model(), loaded.tokenizer());
  EXPECT_EQ(sampler.sample({.text = "The ", .step = loaded.step()}, 2, {}),
            sampler.sample({.text = "The ", .step = loaded.step()}, 2, {}));
}

TEST_F(LoadingAModel, EvaluatesWithTheRunsOwnMicrobatchAndNoTrainingText) {
  std::filesystem::copy_file(kCorpus / data::kHeldoutFile, folder_ / "corpus" / data::kHeldoutFile);
  LoadedModel loaded(load_options(), *world_);
  EXPECT_EQ(loaded.model().shape().max_tokens, config_.batch.micro_batch * config_.data.sequence_length);
  const data::TokenDataset heldout = loaded.open_heldout();
  workers::Evaluator evaluator(loaded.model(), heldout, config_.data.document_mask);
  EXPECT_FALSE(evaluator.evaluate(4).domains.empty());
}

}  // namespace
}  // namespace troupe::cli
