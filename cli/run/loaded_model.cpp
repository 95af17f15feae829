#include "cli/run/loaded_model.h"

#include "cli/run/run_corpus.h"
#include "cli/run/training_setup.h"
#include "configs/load.h"
#include "conversion/import.h"
#include "data/tokenizer/tokenizer_json.h"
#include "model/layer_spec.h"
#include "storage/checkpoint_path.h"
#include "tensor/parallel.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/preferences/pair_reference.h"

namespace troupe::cli {
namespace {

/// Rows of the embedding that was trained.
std::int64_t vocab_size(const storage::TensorReader& reader) {
  return reader.tensor("embedding/weight").shape[0];
}

std::unique_ptr<data::Tokenizer> load_tokenizer(const storage::TensorReader& reader,
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

/// All of a model but its values.
struct Description {
  std::unique_ptr<storage::TensorReader> reader;
  configs::RunConfig config;
  std::unique_ptr<data::Tokenizer> tokenizer;
};

Description describe(std::unique_ptr<storage::TensorReader> opened, const std::string& corpus) {
  Description model{.reader = std::move(opened), .config = {}, .tokenizer = {}};
  const storage::TensorReader& reader = *model.reader;
  model.config = configs::parse_record(reader.manifest().metadata.config, reader.folder().string());
  const std::string trained_on = model.config.data.corpus;
  model.config.data.corpus = corpus.empty() ? corpus_of(reader.folder(), trained_on).string() : corpus;
  model.tokenizer = load_tokenizer(reader, trained_on, model.config.data.corpus);
  return model;
}

/// The workers share the experts, if there are any. Nothing is trained, so a lane for each is enough.
layout::Layout layout_of(const model::ModelOptions& options, std::int64_t micro_batch, int workers) {
  const bool has_experts = model::moe_layers(options) > 0;
  if (has_experts && workers > options.moe.experts) {
    throw Error(ErrorCode::kConfig, "{} workers for the model's {} experts: each needs one of its own",
                workers, options.moe.experts);
  }
  return {{.accumulation_steps = 1,
           .grad_lanes = workers,
           .expert_lanes = has_experts ? 1 : workers,
           .micro_batch = static_cast<int>(micro_batch)},
          workers,
          has_experts ? workers : 1,
          static_cast<int>(options.moe.experts)};
}

/// Of a run, a checkpoint, or a folder of Hugging Face's.
std::unique_ptr<storage::TensorReader> open_weights(const std::filesystem::path& path) {
  if (conversion::is_model_folder(path)) return conversion::open_model_folder(path);
  return std::make_unique<storage::CheckpointReader>(storage::find_checkpoint(path));
}

/// A checkpoint's files are compared with their hashes, a share by each worker.
void verify_together(storage::TensorReader& reader, comm::Communicator& world) {
  auto* checkpoint = dynamic_cast<storage::CheckpointReader*>(&reader);
  if (checkpoint == nullptr || world.size() == 1) return;  // alone it compares what it reads
  checkpoint->verify_share(world.rank(), world.size());
  world.barrier();
  checkpoint->trust_files();
}

}  // namespace

storage::CheckpointReader open_checkpoint(const std::filesystem::path& path) {
  return storage::CheckpointReader(storage::find_checkpoint(path));
}

void check_loadable(const LoadOptions& options, int workers) {
  static_cast<void>(layout_of(describe(open_weights(options.path), options.corpus).config.model, 1, workers));
}

LoadedModel::LoadedModel(const LoadOptions& options, comm::Communicator& world) {
  use_one_library_thread();
  Description description = describe(open_weights(options.path), options.corpus);
  storage::TensorReader& reader = *description.reader;
  config_ = std::move(description.config);
  tokenizer_ = std::move(description.tokenizer);
  checkpoint_ = reader.folder();
  step_ = reader.manifest().metadata.step;

  workers::TrainingOptions training = training_options(config_, vocab_size(reader));
  const layout::Layout layout = layout_of(
      config_.model, options.micro_batch > 0 ? options.micro_batch : config_.batch.micro_batch, world.size());
  training.batch = layout.batch();
  training.threads = options.threads;
  const std::int64_t domains = options.by_domain ? std::ssize(open_heldout().header().domain_names) : 0;
  model_ =
      std::make_unique<model::Model>(workers::model_setup(training, layout, domains), layout, world, clock_);
  verify_together(reader, world);
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
