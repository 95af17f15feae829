#include "workers/training_data.h"

#include "base/error.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::workers {

TrainingData::TrainingData(const std::filesystem::path& corpus, const TrainingOptions& options)
    : train(corpus / data::kTrainFile),
      heldout(corpus / data::kHeldoutFile),
      tokenizer(data::read_tokenizer_json(corpus / data::kTokenizerFile)),
      order(train, options.data.sequence_length, options.seed, options.data.domains) {
  if (!options.data.domains.empty()) order.require_reach(options.steps * options.batch.sequences());
  for (const auto* dataset : {&train, &heldout}) {
    if (dataset->header().tokenizer_hash == tokenizer.hash()) continue;
    throw Error(ErrorCode::kCorrupt,
                "{}: its token files were made by another tokenizer than {}; prepare it again",
                corpus.string(), data::kTokenizerFile);
  }
}

}  // namespace troupe::workers
