#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "comm/control/link/channel.h"

namespace troupe::benchmarks {

/// Of whose loads worker 0 reports.
struct SpokenModel {
  std::int64_t layers = 27;
  std::int64_t experts = 64;
};

/// A worker as the coordinator hears it: nothing but the bytes on its link, as those of a worker that trains.
class SpokenWorker {
 public:
  static constexpr comm::Epoch kEpoch = 1;
  static constexpr const char* kNonce = "nonce";

  SpokenWorker(std::int64_t rank, std::int64_t world_size, const SpokenModel& model)
      : rank_(rank), world_size_(world_size), model_(model), channel_(kEpoch) {}

  [[nodiscard]] std::string join();
  /// What it says after a step: the report, then what it does now. Adds the encoded messages to `messages`.
  [[nodiscard]] std::string report(std::int64_t step, std::vector<std::string>& messages);
  [[nodiscard]] std::string heartbeat();
  /// Takes in what the coordinator sent.
  void hear(const std::string& bytes);

 private:
  std::string frame(std::string message);
  [[nodiscard]] comm::StepFinished step_finished(std::int64_t step) const;
  void add_metrics_and_loads(comm::StepFinished& report, double varied) const;
  [[nodiscard]] comm::LayerLoad load_of(std::int64_t step, std::int64_t layer) const;

  std::int64_t rank_;
  std::int64_t world_size_;
  SpokenModel model_;
  comm::Channel channel_;
};

}  // namespace troupe::benchmarks
