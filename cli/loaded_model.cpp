#include "cli/loaded_model.h"

#include "cli/training_setup.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/load.h"
#include "storage/checkpoint_store.h"
#include "tensor/parallel.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::cli {
storage::CheckpointReader open_checkpoint(const std::filesystem::path& path) {
  if (std::filesystem::exists(path / storage::kManifestFile)) return storage::CheckpointReader(path);
  return storage::CheckpointStore(path / "checkpoints").open_latest();
}

LoadedModel::LoadedModel(const std::filesystem::path& path, std::int64_t micro_batch, int threads,
                         const std::string& corpus) {
  use_one_library_thread();
  storage::CheckpointReader reader = open_checkpoint(path);
  config_ = configs::parse_config(reader.manifest().metadata.config, reader.folder().string(), {});
  if (!corpus.empty()) config_.data.corpus = corpus;
  workers::TrainingOptions options = training_options(config_, read_corpus_facts(config_).vocab_size);
  // Nothing is trained, so one lane is enough.
  options.batch = {
      .turns = 1, .grad_lanes = 1, .expert_lanes = 1, .micro_batch = static_cast<int>(micro_batch)};
  options.threads = threads;
  world_ = std::move(comm::make_inproc_group(1).front());
  layout_ =
      std::make_unique<layout::Layout>(options.batch, 1, 1, static_cast<int>(config_.model.moe.experts));
  data_ = std::make_unique<workers::TrainingData>(config_.data.corpus, options);
  if (reader.manifest().metadata.tokenizer_hash != data_->tokenizer.hash()) {
    throw Error(ErrorCode::kConfig,
                "{}: the corpus {} has another tokenizer than this model was trained with",
                reader.folder().string(), config_.data.corpus);
  }
  trainer_ =
      std::make_unique<workers::Trainer>(options, *layout_, *world_, data_->train, data_->order, clock_);
  workers::load_state(reader, options, trainer_->partition(), trainer_->state());
}

}  // namespace troupe::cli
