#include "workers/training_data.h"

#include "base/error.h"
#include "base/index.h"
#include "base/log.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::workers {

TrainingData::TrainingData(const std::filesystem::path& corpus, const TrainingOptions& options)
    : train(corpus / data::kTrainFile),
      heldout(corpus / data::kHeldoutFile),
      tokenizer(data::read_tokenizer_json(corpus / data::kTokenizerFile)),
      order(),
      pairs(),
      heldout_pairs() {
  const std::int64_t length = options.data.sequence_length;
  if (options.model.objective.compares()) {
    pairs.emplace(train, length, options.seed);
    heldout_pairs.emplace(heldout, length, 0);
    if (pairs->left_out() > 0) {
      log::warn("{} of {} pairs are longer than data.sequence_length = {}, and left out", pairs->left_out(),
                pairs->pair_count(), length);
    }
  } else {
    order.emplace(train, length, options.seed, options.data.domains);
    order->require_reach(options.steps * options.batch.sequences());
  }
  for (const auto* dataset : {&train, &heldout}) {
    require_kind(*dataset, options.model.objective);
    if (dataset->header().tokenizer_hash == tokenizer.hash()) continue;
    throw Error(ErrorCode::kCorrupt,
                "{}: its token files were made by another tokenizer than {}; prepare it again",
                corpus.string(), data::kTokenizerFile);
  }
}

BatchLoader TrainingData::loader(const TrainingOptions& options,
                                 const std::vector<model::PairScores>& reference) const {
  const std::int64_t length = options.data.sequence_length;
  if (pairs) return {train, *pairs, length, options.batch, reference};
  return {train, *order, length, options.data.document_mask, options.batch};
}

void require_kind(const data::TokenDataset& dataset, const model::ObjectiveOptions& objective) {
  const std::string file = dataset.path().string();
  const std::string_view kind = model::kObjectiveNames[at(objective.kind)];
  if (objective.compares() && !dataset.header().pairs) {
    throw Error(
        ErrorCode::kConfig,
        "objective.kind: {} learns from preferences, and {} has none: prepare them with `troupe data prepare "
        "PAIRS.jsonl --preferences TEMPLATE`",
        kind, file);
  }
  if (!objective.compares() && dataset.header().pairs) {
    throw Error(ErrorCode::kConfig,
                "{} has preferences, and objective.kind: {} learns from text: set objective.kind to dpo or "
                "reward",
                file, kind);
  }
  if (objective.kind == model::ObjectiveKind::kSft && dataset.header().trained.all()) {
    throw Error(
        ErrorCode::kConfig,
        "objective.kind: sft learns the answers of conversations, and {} is text that is learned as a whole: "
        "prepare it with --chat, or set objective.kind: next_token",
        file);
  }
}

}  // namespace troupe::workers
