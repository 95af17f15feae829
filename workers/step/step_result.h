#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layout/load_statistics.h"
#include "tensor/profile.h"
#include "workers/step/step_exchange.h"

namespace troupe::workers {

/// Losses of one global batch.
struct StepLosses {
  double loss = 0.0;                   // everything that was minimised
  double loss_lm = 0.0;                // nats per predicted token, or per pair
  double margin = 0.0;                 // of pairs: mean, and
  double accuracy = 0.0;               // part of them with a margin above 0
  double mtp_loss = 0.0;               // of multi-token prediction, mean of its modules, without its weight
  double loss_z = 0.0;                 // mean log²Z, without its coefficient
  std::vector<double> aux_loss;        // [aux losses], mean over layers, without coefficient; 1 = balanced
  double router_z_loss = 0.0;          // mean over layers, without its coefficient
  std::vector<double> layer_aux_loss;  // [moe layers, aux losses], as aux_loss
  std::vector<double> layer_router_z;  // [moe layers], as router_z_loss
};

/// What one training step yields; the same on every worker, but for seconds.
struct StepResult : StepLosses {
  std::int64_t step = 0;
  bool skipped = false;     // the state did not change
  std::string skip_reason;  // empty where it was not skipped
  double grad_norm = 0.0;
  double learning_rate = 0.0;
  layout::LoadStatistics load;  // global
  ControlWord control;          // of all workers
  PhaseSeconds seconds{};       // of this worker
};

}  // namespace troupe::workers
