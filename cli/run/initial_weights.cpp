#include "cli/run/initial_weights.h"

#include "base/error.h"
#include "cli/arguments/path_option.h"
#include "cli/run/run_corpus.h"
#include "configs/load.h"
#include "storage/checkpoint_path.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

bool is_inside(const fs::path& path, const fs::path& folder) {
  const fs::path relative =
      path.lexically_normal().lexically_relative(fs::absolute(folder).lexically_normal());
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::optional<workers::InitialWeights> initial_weights(const configs::RunConfig& config) {
  if (!config.init_from.checkpoint || config.init_from.branch) return std::nullopt;
  storage::CheckpointReader reader(*config.init_from.checkpoint);
  const configs::RunConfig source =
      configs::parse_record(reader.manifest().metadata.config, reader.folder().string());
  return workers::InitialWeights{.source = {.name = reader.folder().string(),
                                            .model = source.model,
                                            .vocab_size = reader.tensor("embedding/weight").shape[0],
                                            .loads = workers::read_loads(reader, source.model)},
                                 .options = config.init_from};
}

void require_fitting_weights(const configs::RunConfig& config, const CorpusFacts& corpus) {
  const auto weights = initial_weights(config);
  if (!weights) return;
  const storage::CheckpointReader reader(*config.init_from.checkpoint);
  if (reader.manifest().metadata.tokenizer_hash != corpus.tokenizer_hash) {
    const configs::RunConfig source =
        configs::parse_record(reader.manifest().metadata.config, reader.folder().string());
    throw Error(ErrorCode::kConfig, "{}: it was trained with another tokenizer than the corpus {} has\n{}",
                reader.folder().string(), config.data.corpus,
                how_to_prepare_for(reader.folder(), source.data.corpus));
  }
  const workers::WeightOrigins origins(weights->source, config.model, corpus.vocab_size, weights->options);
}

void resolve_init_from(configs::RunConfig& config, const std::optional<configs::RunConfig>& recorded) {
  auto& asked = config.init_from;
  if (recorded && recorded->init_from.checkpoint) {
    if (!asked.checkpoint) {
      asked = recorded->init_from;
      return;
    }
    if (is_inside(*recorded->init_from.checkpoint, *asked.checkpoint)) {
      asked.checkpoint = recorded->init_from.checkpoint;
      return;
    }
  }
  if (asked.checkpoint) asked.checkpoint = storage::find_checkpoint(user_path(*asked.checkpoint)).string();
}

}  // namespace troupe::cli
