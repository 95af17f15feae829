#include "benchmarks/bench/spoken_worker.h"

#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "comm/control/messages/codec.h"

namespace troupe::benchmarks {

std::string SpokenWorker::frame(std::string message) {
  const actors::Delivery delivery = channel_.send(std::move(message));
  TROUPE_CHECK(delivery == actors::Delivery::kDelivered, "worker {} cannot send", rank_);
  return channel_.take_output();
}

std::string SpokenWorker::join() {
  return frame(comm::encode(comm::WorkerMessage(comm::JoinRequested{.first_rank = rank_,
                                                                    .ranks = 1,
                                                                    .world_size = world_size_,
                                                                    .host = fmt::format("node-{}", rank_ / 8),
                                                                    .process_id = 1000 + rank_,
                                                                    .numerics_fingerprint = 42,
                                                                    .run_folder_nonce = kNonce})));
}

std::string SpokenWorker::report(std::int64_t step, std::vector<std::string>& messages) {
  std::string bytes;
  for (const comm::WorkerMessage& message :
       {comm::WorkerMessage(step_finished(step)),
        comm::WorkerMessage(comm::WorkerActive{rank_, step + 1, "training"})}) {
    messages.push_back(comm::encode(message));
    bytes += frame(messages.back());
  }
  return bytes;
}

std::string SpokenWorker::heartbeat() {
  channel_.acknowledge();
  return channel_.take_output();
}

void SpokenWorker::hear(const std::string& bytes) {
  channel_.feed(bytes);
  while (channel_.next_message()) channel_.take_in();
}

comm::StepFinished SpokenWorker::step_finished(std::int64_t step) const {
  comm::StepFinished report;
  report.rank = rank_;
  report.step = step;
  const double varied = 1.0 + 0.001 * static_cast<double>((rank_ * 31 + step * 17) % 97);
  for (const char* phase :
       {"load", "forward", "dispatch", "expert", "combine", "backward", "reduce", "update"})
    report.phase_seconds[phase] = 0.1 * varied;
  if (rank_ == 0) add_metrics_and_loads(report, varied);
  return report;
}

void SpokenWorker::add_metrics_and_loads(comm::StepFinished& report, double varied) const {
  report.tokens_total = report.step << 22;
  for (const char* metric : {"loss", "loss_lm", "aux_loss", "router_z_loss", "learning_rate", "grad_norm",
                             "step_seconds", "tokens_per_second", "mfu", "memory_bytes", "tokens_total"})
    report.metrics[metric] = 2.5 * varied;
  for (std::int64_t layer = 1; layer <= model_.layers; ++layer)
    report.loads.push_back(load_of(report.step, layer));
}

comm::LayerLoad SpokenWorker::load_of(std::int64_t step, std::int64_t layer) const {
  const Random random(1, RandomPurpose::kTest, static_cast<std::uint32_t>(step));
  comm::LayerLoad load{.layer = layer, .counts = {}, .bias = {}};
  for (std::int64_t expert = 0; expert < model_.experts; ++expert) {
    const auto index = static_cast<std::uint64_t>(layer * model_.experts + expert);
    load.counts.push_back(static_cast<std::int64_t>(random.below(index, 1U << 20)));
    load.bias.push_back(static_cast<float>(random.uniform(index)));
  }
  return load;
}

}  // namespace troupe::benchmarks
