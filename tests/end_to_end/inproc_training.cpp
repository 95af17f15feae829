#include "tests/end_to_end/inproc_training.h"

#include <gtest/gtest.h>

#include <bit>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/batch_order.h"
#include "tensor/parallel.h"
#include "tensor/transfer.h"
#include "workers/checkpoint/storage_thread.h"
#include "workers/preferences/pair_reference.h"
#include "workers/step/trainer.h"

namespace troupe::test {
namespace {

/// Where batches come from: text in its order, or pairs, of dpo with the reference that a run makes at its
/// begin.
class Batches {
 public:
  Batches(const workers::TrainingOptions& options, const data::TokenDataset& dataset)
      : options_(options), dataset_(dataset) {
    if (options.model.objective.compares()) {
      pairs_.emplace(dataset, options.data.sequence_length, options.seed);
    } else {
      order_.emplace(dataset, options.data.sequence_length, options.seed);
    }
  }

  [[nodiscard]] workers::PairReference reference(model::Model& model) const {
    if (options_.model.objective.kind != model::ObjectiveKind::kDpo) return {};
    return workers::compute_reference(model, {{dataset_, *pairs_}, {dataset_, *pairs_}});
  }
  [[nodiscard]] workers::BatchLoader loader(const workers::PairReference& reference) const {
    const std::int64_t length = options_.data.sequence_length;
    if (pairs_) return {dataset_, *pairs_, length, options_.batch, reference.train};
    return {dataset_, *order_, length, options_.data.document_mask, options_.batch};
  }

 private:
  const workers::TrainingOptions& options_;
  const data::TokenDataset& dataset_;
  std::optional<data::BatchOrder> order_;
  std::optional<data::PairOrder> pairs_;
};

void keep_weights(const ParameterTable& table, Accelerator* accelerator, TensorView buffer,
                  TrainingRecord& record) {
  HostMirror mirror(accelerator, buffer, HostMirror::Content::kBuffer);
  const std::span<const float> values = mirror.values();
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const auto& spec = table.specs()[i];
    const auto view = table.view(values, i).floats();
    const std::vector<float> copy(view.begin(), view.end());
    const auto [kept, is_new] = record.weights.emplace(std::pair(spec.name, spec.expert), copy);
    EXPECT_TRUE(is_new || kept->second == copy) << "two workers hold different values of " << spec.name;
  }
}

TrainingRecord::Step record_step(const workers::StepResult& step, std::span<const float> bias) {
  std::vector<std::int64_t> load(static_cast<std::size_t>(step.load.size()));
  step.load.add_to(load);
  return {.loss_bits = std::bit_cast<std::uint64_t>(step.loss),
          .grad_norm_bits = std::bit_cast<std::uint64_t>(step.grad_norm),
          .load = std::move(load),
          .bias = {bias.begin(), bias.end()}};
}

}  // namespace

std::filesystem::path source_path(const std::string& file) {
  const std::filesystem::path built = std::filesystem::path(TROUPE_SOURCE_DIR) / file;
  return std::filesystem::exists(built) ? built : std::filesystem::path(file);
}

data::TokenDataset tiny_dataset() { return data::TokenDataset(source_path("tests/data/tiny/train.h5")); }

workers::TrainingOptions tiny_options(const data::TokenDataset& dataset) {
  workers::TrainingOptions options;
  options.seed = 1;
  options.steps = 20;
  options.vocab_size = (dataset.header().vocab_size + 127) / 128 * 128;
  options.data.sequence_length = 32;
  options.batch = {.accumulation_steps = 2, .grad_lanes = 24, .expert_lanes = 24, .micro_batch = 1};
  options.model.hidden_size = 32;
  options.model.layers = 3;
  options.model.attention.heads = 4;
  options.model.attention.kv_heads = 2;
  options.model.attention.head_dim = 8;
  options.model.ffn.intermediate_size = 64;
  options.model.loss.z_loss = 1e-4;
  options.model.moe.experts = 24;
  options.model.moe.expert_size = 16;
  options.model.moe.router.z_loss = 1e-3;
  options.model.moe.aux_loss = {{.scope = experts::AuxScope::kGlobal, .coefficient = 0.01}};
  options.schedule.warmup = 4;
  options.schedule.decay = 8;
  return options;
}

TrainingRecord train_inproc(workers::TrainingOptions options, const data::TokenDataset& dataset,
                            const WorkerLayout& shape, int steps,
                            const std::function<void(workers::Trainer&, const workers::StepResult&)>& between,
                            const workers::RoutingFolders& routing, const MakeAccelerator& device) {
  options.threads = shape.threads;
  options.recompute = shape.recompute;
  const layout::Layout layout(options.batch, shape.workers, shape.expert_parallel,
                              static_cast<int>(options.model.moe.experts));
  const Batches batches(options, dataset);
  auto group = comm::make_inproc_group(shape.workers);
  TrainingRecord record;
  std::mutex mutex;
  const SystemClock clock;
  workers::StorageThread storage;
  {
    std::vector<std::jthread> threads;
    for (auto& communicator : group) {
      threads.emplace_back([&, world = std::move(communicator)]() mutable {
        use_one_library_thread();
        try {
          const auto accelerator = device ? device() : nullptr;
          model::Model model(workers::model_setup(options, layout, std::ssize(dataset.header().domain_names),
                                                  accelerator.get()),
                             layout, *world, clock);
          model.initialize();
          const workers::PairReference reference = batches.reference(model);
          workers::Trainer trainer(options, model, batches.loader(reference));
          workers::RoutingTapes tapes(options, dataset.content_hash(), layout, world->rank(), routing);
          for (int step = 0; step < steps; ++step) {
            storage.run([&] { tapes.prepare(step + 1); });
            const auto& result = trainer.step({}, tapes.tapes());
            storage.run([&] { tapes.keep(step + 1); });
            if (world->rank() == 0) record.steps.push_back(record_step(result, model.bias()));
            if (between) between(trainer, result);
          }
          const std::scoped_lock lock(mutex);
          keep_weights(model.dense_table(), model.accelerator(), model.dense_buffer(), record);
          keep_weights(model.expert_table(), model.accelerator(), model.expert_buffer(), record);
        } catch (const std::exception& error) {
          ADD_FAILURE() << "worker: " << error.what();
        }
      });
    }
  }
  return record;
}

}  // namespace troupe::test
