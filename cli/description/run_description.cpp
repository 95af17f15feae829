#include "cli/description/run_description.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/index.h"
#include "cli/run/training_setup.h"
#include "layout/layout.h"
#include "model/activation_memory.h"
#include "model/parameters.h"
#include "workers/step/batch_counts.h"

namespace troupe::cli {
namespace {

void count_parameters(const model::ModelOptions& model, RunDescription& description) {
  description.parameters = model::count_parameters(model, description.vocab_size);
  for (const ParameterSpec& spec : model::parameter_specs(model, description.vocab_size)) {
    if (spec.kind == ParameterKind::kDense) description.dense_parameters += spec.elements();
    if (spec.kind == ParameterKind::kExpert && spec.expert == 0)
      description.parameters_per_expert += spec.elements();
    description.parameters_by_part[at(spec.part)] += spec.elements();
  }
}

void describe_cache(const configs::RunConfig& config, RunDescription& description) {
  constexpr std::int64_t kBytes = 4;
  description.context = config.data.sequence_length;
  description.cache_bytes_per_token = kBytes * model::cached_numbers(config.model, 1);
  description.cache_bytes = kBytes * model::cached_numbers(config.model, description.context);
}

constexpr std::array<std::string_view, 7> kPartNames{"embedding", "attention",      "feed_forward", "router",
                                                     "experts",   "shared_experts", "head"};

std::string where_text(const RunDescription& d) {
  std::string text;
  for (std::size_t part = 0; part < kPartNames.size(); ++part) {
    if (d.parameters_by_part[part] == 0) continue;
    text += fmt::format("{}{} {:.2f} M", text.empty() ? "" : ", ", kPartNames[part],
                        static_cast<double>(d.parameters_by_part[part]) / 1e6);
  }
  return text;
}

nlohmann::ordered_json parts_json(const RunDescription& d) {
  nlohmann::ordered_json parts;
  for (std::size_t part = 0; part < kPartNames.size(); ++part)
    parts[std::string(kPartNames[part])] = d.parameters_by_part[part];
  return parts;
}

workers::TrainingMemory memory_of(const configs::RunConfig& config, std::int64_t vocab_size,
                                  const layout::Layout& layout) {
  workers::TrainingMemory memory = workers::training_memory(training_options(config, vocab_size), layout);
  if (config.checkpoint.snapshot_every > 0) memory.snapshots = 2 * memory.saved_copy;
  if (!event_options(config).saves_on_the_way) memory.saved_copy = 0;
  return memory;
}

void describe_held(const configs::RunConfig& config, const layout::Layout& layout,
                   RunDescription& description) {
  const std::int64_t together = workers::microbatches_together(config.model, layout);
  const workers::TrainingOptions options = training_options(config, description.vocab_size);
  description.forward_together = together;
  description.held = std::min(together, config.parallel.hold_microbatches.value_or(0));
  description.held_bytes =
      model::held_activation_bytes(config.model, workers::model_setup(options, layout, 0).shape);
}

/// Of the products of a step without it: a third of them are forward.
double forward_again_share(const RunDescription& d) {
  if (d.held == 0) return 0.0;
  return static_cast<double>(d.forward_together - d.held) / static_cast<double>(d.forward_together) / 3.0;
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

std::string to_text(const comm::Traffic& traffic) {
  return fmt::format("{} in {} messages", mebibytes(traffic.bytes), traffic.messages);
}

std::string traffic_text(const RunDescription& d) {
  const workers::StepTraffic& step = d.traffic;
  const workers::ResumeCost& resume = d.resume;
  return fmt::format(
      "messages         of a step, sent by worker 0: {};\n"
      "                 tokens to experts and back about {}, gradients {},\n"
      "                 weights {}; all workers add up {:.1f} KiB in {} collectives\n"
      "resume           a checkpoint of {}: read once to choose it; worker 0 compares {},\n"
      "                 reads {} and sends weights, {}\n",
      to_text(step.sent()), to_text(step.dispatch), to_text(step.gradients), to_text(step.weights),
      static_cast<double>(step.reduced_bytes) / 1024.0, step.reductions, mebibytes(resume.checkpoint_bytes),
      mebibytes(resume.verified_bytes), mebibytes(resume.read_bytes), to_text(resume.weights));
}

nlohmann::ordered_json to_json(const comm::Traffic& traffic) {
  return {{"messages", traffic.messages}, {"bytes", traffic.bytes}};
}

}  // namespace

RunDescription describe_run(const configs::RunConfig& config, std::int64_t vocab_size, std::int64_t cores) {
  RunDescription description;
  description.vocab_size = vocab_size;
  count_parameters(config.model, description);
  describe_cache(config, description);
  const auto& moe = config.model.moe;
  if (description.parameters_per_expert > 0) {
    description.sparsity = static_cast<double>(moe.experts + moe.shared_experts) /
                           static_cast<double>(moe.top_k + moe.shared_experts);
    description.granularity =
        2.0 * static_cast<double>(config.model.hidden_size) / static_cast<double>(moe.expert_size);
  }
  description.tokens_per_step = config.batch.sequences * config.data.sequence_length;
  description.visible_keys = static_cast<double>(config.data.sequence_length + 1) / 2.0;
  description.flops_per_token =
      model::training_flops_per_token(config.model, vocab_size, config.data.sequence_length);
  description.layout = configs::choose_layout(config, cores);
  description.accumulation_steps =
      config.batch.sequences / (config.batch.grad_lanes * config.batch.micro_batch);
  const layout::Layout layout(batch_shape(config), static_cast<int>(description.layout.workers),
                              static_cast<int>(description.layout.expert_parallel),
                              static_cast<int>(moe.experts));
  description.waves = layout.waves();
  describe_held(config, layout, description);
  description.bytes_per_worker = memory_of(config, vocab_size, layout);
  const workers::TrainingOptions training = training_options(config, vocab_size);
  description.traffic = workers::step_traffic(training, layout);
  description.resume = workers::resume_cost(training, layout);
  return description;
}

std::string to_text(const RunDescription& d) {
  const auto& bytes = d.bytes_per_worker;
  const auto million = [](std::int64_t count) {
    return fmt::format("{:.2f} M", static_cast<double>(count) / 1e6);
  };
  std::string text;
  text += fmt::format("parameters       {} total, {} active per token (vocabulary {})\n",
                      million(d.parameters.total), million(d.parameters.active), d.vocab_size);
  text += fmt::format("                 {}\n", where_text(d));
  if (d.parameters.mtp > 0) {
    text += fmt::format(
        "                 of the total {} for multi-token prediction, which only training computes\n",
        million(d.parameters.mtp));
  }
  text += fmt::format(
      "cache            {:.1f} KiB per token when writing, {} for a context of {}; 4 bytes a number\n",
      static_cast<double>(d.cache_bytes_per_token) / 1024.0, mebibytes(d.cache_bytes), d.context);
  text += fmt::format("experts          sparsity {:.2f}, activation ratio {:.4f}, granularity {:.2f}\n",
                      d.sparsity, 1.0 / d.sparsity, d.granularity);
  text += fmt::format(
      "compute          {:.2f} MFLOP per token, forward and backward, with {:.1f} visible keys per query\n"
      "                 on average (sequences of one document); {:.2f} GFLOP per step of {} tokens\n",
      d.flops_per_token / 1e6, d.visible_keys,
      d.flops_per_token * static_cast<double>(d.tokens_per_step) / 1e9, d.tokens_per_step);
  text += fmt::format("layout           {} workers, expert_parallel {}, {} accumulation steps of {} waves\n",
                      d.layout.workers, d.layout.expert_parallel, d.accumulation_steps, d.waves);
  if (d.forward_together > 1) {
    const std::string held = d.held == 0 ? std::string("as many as fit") : std::to_string(d.held);
    text += fmt::format(
        "balance losses   count the load of {} microbatches of a worker, which go forward first; {} held,\n"
        "                 about {} each, the others computed forward again: {:.0f} % more compute\n",
        d.forward_together, held, mebibytes(d.held_bytes), 100.0 * forward_again_share(d));
  }
  text += fmt::format(
      "memory           {} per worker: parameters {}, gradient lanes {}, their sums {},\n"
      "                 optimizer {}, activations about {}, load and losses {},\n"
      "                 copy of what a save writes {}, snapshots in shared memory {}\n",
      mebibytes(bytes.total()), mebibytes(bytes.parameters), mebibytes(bytes.gradient_lanes),
      mebibytes(bytes.reduction), mebibytes(bytes.optimizer_state), mebibytes(bytes.activations),
      mebibytes(bytes.statistics), mebibytes(bytes.saved_copy), mebibytes(bytes.snapshots));
  if (d.layout.workers > 1) text += traffic_text(d);
  return text;
}

std::string to_json(const RunDescription& d) {
  const auto& bytes = d.bytes_per_worker;
  const nlohmann::ordered_json json{
      {"vocab_size", d.vocab_size},
      {"parameters",
       {{"total", d.parameters.total},
        {"active", d.parameters.active},
        {"mtp", d.parameters.mtp},
        {"by_part", parts_json(d)}}},
      {"cache",
       {{"bytes_per_token", d.cache_bytes_per_token}, {"context", d.context}, {"bytes", d.cache_bytes}}},
      {"sparsity", d.sparsity},
      {"activation_ratio", 1.0 / d.sparsity},
      {"granularity", d.granularity},
      {"tokens_per_step", d.tokens_per_step},
      {"visible_keys_per_query", d.visible_keys},
      {"flops_per_token", d.flops_per_token},
      {"layout",
       {{"workers", d.layout.workers},
        {"expert_parallel", d.layout.expert_parallel},
        {"accumulation_steps", d.accumulation_steps},
        {"waves", d.waves}}},
      {"forward_together",
       {{"microbatches", d.forward_together},
        {"held", d.held},
        {"bytes_of_one", d.held_bytes},
        {"forward_again_share", forward_again_share(d)}}},
      {"bytes_per_worker",
       {{"parameters", bytes.parameters},
        {"gradient_lanes", bytes.gradient_lanes},
        {"reduction", bytes.reduction},
        {"optimizer_state", bytes.optimizer_state},
        {"activations", bytes.activations},
        {"statistics", bytes.statistics},
        {"saved_copy", bytes.saved_copy},
        {"snapshots", bytes.snapshots},
        {"total", bytes.total()}}},
      {"sent_in_a_step_by_worker_0",
       {{"dispatch", to_json(d.traffic.dispatch)},
        {"gradients", to_json(d.traffic.gradients)},
        {"weights", to_json(d.traffic.weights)},
        {"total", to_json(d.traffic.sent())},
        {"reductions", d.traffic.reductions},
        {"reduced_bytes", d.traffic.reduced_bytes}}},
      {"resume",
       {{"checkpoint_bytes", d.resume.checkpoint_bytes},
        {"verified_bytes_of_worker_0", d.resume.verified_bytes},
        {"read_bytes_of_worker_0", d.resume.read_bytes},
        {"weights_sent_by_worker_0", to_json(d.resume.weights)}}}};
  return json.dump(2) + "\n";
}

}  // namespace troupe::cli
