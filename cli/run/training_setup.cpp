#include "cli/run/training_setup.h"

#include "base/error.h"

namespace troupe::cli {

layout::BatchShape batch_shape(const configs::RunConfig& config) {
  const auto& batch = config.batch;
  return {.accumulation_steps = static_cast<int>(batch.sequences / (batch.grad_lanes * batch.micro_batch)),
          .grad_lanes = static_cast<int>(batch.grad_lanes),
          .expert_lanes = static_cast<int>(batch.expert_lanes),
          .micro_batch = static_cast<int>(batch.micro_batch)};
}

workers::TrainingOptions training_options(const configs::RunConfig& config, std::int64_t vocab_size) {
  return {.seed = static_cast<std::uint64_t>(config.run.seed),
          .steps = config.run.steps,
          .model = config.model,
          .vocab_size = vocab_size,
          .data = config.data,
          .batch = batch_shape(config),
          .optimizer = config.optimizer,
          .schedule = config.schedule,
          .verify_every = config.elastic.verify_every,
          .loss_spike_sigmas = config.run.loss_spike_sigmas,
          .threads = static_cast<int>(config.parallel.threads),
          .recompute = config.parallel.recompute == layout::Recompute::kBlock,
          .dispatch = config.parallel.dispatch,
          .hold_microbatches = config.parallel.hold_microbatches.value_or(0)};
}

workers::EventOptions event_options(const configs::RunConfig& config) {
  return {.evaluation_sequences = config.evaluation.sequences,
          .final_evaluation_sequences = config.evaluation.final_sequences,
          .prompts = config.sampling.prompts,
          .sample_tokens = config.sampling.tokens,
          .max_skipped_steps = config.run.max_skipped_steps,
          .placement_every = config.parallel.placement == layout::PlacementKind::kBalanced
                                 ? config.parallel.placement_every
                                 : 0,
          .peak_flops = 1e9 * config.metrics.peak_gflops,
          .saves_on_the_way = config.checkpoint.every > 0 && config.checkpoint.every < config.run.steps,
          .snapshot_every = config.checkpoint.snapshot_every};
}

workers::RoutingFolders routing_folders(const configs::RunConfig& config,
                                        const std::filesystem::path& run_folder) {
  workers::RoutingFolders folders;
  if (config.run.record_routing) folders.record = run_folder / "routing";
  if (config.run.replay_routing) folders.replay = *config.run.replay_routing;
  return folders;
}

CorpusFacts read_corpus_facts(const configs::RunConfig& config) {
  const std::filesystem::path corpus = config.data.corpus;
  const data::TokenDataset train(corpus / data::kTrainFile);
  const data::TokenDataset heldout(corpus / data::kHeldoutFile);
  const std::int64_t tokens = train.header().vocab_size;
  CorpusFacts facts{.vocab_size = (tokens + 127) / 128 * 128,
                    .tokenizer_hash = train.header().tokenizer_hash,
                    .domains = train.header().domain_names,
                    .identity = data::identify_corpus(train, heldout)};
  if (!config.model.vocab_size) return facts;
  if (*config.model.vocab_size < tokens) {
    throw Error(ErrorCode::kConfig, "model.vocab_size: {} is less than the {} tokens of the corpus {}",
                *config.model.vocab_size, tokens, config.data.corpus);
  }
  facts.vocab_size = *config.model.vocab_size;
  return facts;
}

}  // namespace troupe::cli
