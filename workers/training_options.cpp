#include "workers/training_options.h"

#include <algorithm>

#include "model/parameters.h"
#include "workers/step/batch_counts.h"

namespace troupe::workers {
namespace {

// Load by domain is counted where its integers, which are reduced every step, cost next to nothing.
constexpr std::int64_t kDomainWords = std::int64_t{1} << 16;

int counted_domains(const model::ModelOptions& model, std::int64_t domains) {
  const std::int64_t words = domains * model::moe_layers(model) * model.moe.choices();
  return words <= kDomainWords ? static_cast<int>(domains) : 0;
}

}  // namespace

model::ModelSetup model_setup(const TrainingOptions& options, const layout::Layout& layout,
                              std::int64_t corpus_domains, Accelerator* accelerator) {
  const std::int64_t together = microbatches_together(options.model, layout);
  return {.options = options.model,
          .shape = {.vocab_size = options.vocab_size,
                    .sequence_length = options.data.sequence_length,
                    .max_tokens = options.batch.micro_batch * options.data.sequence_length,
                    .domains = counted_domains(options.model, corpus_domains),
                    .recompute = options.recompute,
                    .held = options.hold_microbatches > 0 ? std::min(together, options.hold_microbatches)
                                                          : together},
          .dispatch = options.dispatch,
          .seed = options.seed,
          .threads = options.threads,
          .profile_ops = options.profile_ops,
          .accelerator = accelerator};
}

}  // namespace troupe::workers
