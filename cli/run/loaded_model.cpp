#include "cli/run/loaded_model.h"

#include "cli/run/run_corpus.h"
#include "cli/run/training_setup.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/load.h"
#include "data/tokenizer/tokenizer_json.h"
#include "storage/checkpoint_path.h"
#include "tensor/parallel.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/preferences/pair_reference.h"

namespace troupe::cli {
namespace {

/// Rows of the embedding that was trained.
std::int64_t vocab_size(const storage::CheckpointReader& reader) {
  return reader.tensor("embedding/weight").shape[0];
}

std::unique_ptr<data::Tokenizer> load_tokenizer(const storage::CheckpointReader& reader,
                                                const std::string& trained_on,
                                                const std::filesystem::path& corpus) {
  if (!std::filesystem::exists(corpus / data::kTokenizerFile)) {
    throw Error(ErrorCode::kConfig, "{}: its tokenizer is not in {}; say which folder has it with --corpus",
                reader.folder().string(), corpus.string());
  }
  auto tokenizer =
      std::make_unique<data::Tokenizer>(data::read_tokenizer_json(corpus / data::kTokenizerFile));
  if (reader.manifest().metadata.tokenizer_hash != tokenizer->hash()) {
    throw Error(ErrorCode::kConfig,
                "{}: the corpus {} has another tokenizer than this model was trained with\n{}",
                reader.folder().string(), corpus.string(), how_to_prepare_for(reader.folder(), trained_on));
  }
  return tokenizer;
}

/// Nothing is trained, so one lane is enough.
layout::BatchShape batch_of(std::int64_t micro_batch) {
  return {.accumulation_steps = 1,
          .grad_lanes = 1,
          .expert_lanes = 1,
          .micro_batch = static_cast<int>(micro_batch)};
}

}  // namespace

storage::CheckpointReader open_checkpoint(const std::filesystem::path& path) {
  return storage::CheckpointReader(storage::find_checkpoint(path));
}

LoadedModel::LoadedModel(const LoadOptions& options) {
  use_one_library_thread();
  storage::CheckpointReader reader = open_checkpoint(options.path);
  const storage::CheckpointMetadata& metadata = reader.manifest().metadata;
  config_ = configs::parse_record(metadata.config, reader.folder().string());
  const std::string trained_on = config_.data.corpus;
  config_.data.corpus =
      options.corpus.empty() ? corpus_of(reader.folder(), config_.data.corpus).string() : options.corpus;
  checkpoint_ = reader.folder();
  step_ = metadata.step;
  tokenizer_ = load_tokenizer(reader, trained_on, config_.data.corpus);
  world_ = std::move(comm::make_inproc_group(1).front());

  workers::TrainingOptions training = training_options(config_, vocab_size(reader));
  training.batch = batch_of(options.micro_batch > 0 ? options.micro_batch : config_.batch.micro_batch);
  training.threads = options.threads;
  const layout::Layout layout(training.batch, 1, 1, static_cast<int>(config_.model.moe.experts));
  const std::int64_t domains = options.by_domain ? std::ssize(open_heldout().header().domain_names) : 0;
  model_ = std::make_unique<model::Model>(workers::model_setup(training, layout, domains), layout, *world_,
                                          clock_);
  workers::load_model(reader, *model_);
}

void LoadedModel::require_language_model() const {
  if (!config_.model.objective.is_reward()) return;
  throw Error(
      ErrorCode::kConfig,
      "{}: a reward model (objective.kind: reward) has a head for one number and writes nothing; `troupe "
      "eval RUN` says how it judges pairs",
      checkpoint_.string());
}

data::TokenDataset LoadedModel::open_heldout() const {
  data::TokenDataset heldout(std::filesystem::path(config_.data.corpus) / data::kHeldoutFile);
  if (heldout.header().tokenizer_hash == tokenizer_->hash()) return heldout;
  throw Error(ErrorCode::kCorrupt, "{}: {} was made by another tokenizer than {}; prepare it again",
              config_.data.corpus, data::kHeldoutFile, data::kTokenizerFile);
}

std::vector<model::PairScores> LoadedModel::heldout_reference(const data::TokenDataset& heldout,
                                                              const data::PairOrder& order) const {
  if (config_.model.objective.kind != model::ObjectiveKind::kDpo) return {};
  return workers::read_heldout_reference(workers::reference_of(checkpoint_), {heldout, order});
}

}  // namespace troupe::cli
