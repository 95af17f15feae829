#pragma once
#include "comm/control/options.h"
#include "coordinator/options.h"
#include "dashboard/options.h"
#include "data/options.h"
#include "layout/options.h"
#include "model/options.h"
#include "optimizer/options.h"
#include "workers/init_from/options.h"

namespace troupe::configs {

/// Everything a run is configured by; one member per top-level section of a configuration file.
struct RunConfig {
  coordinator::RunOptions run;
  workers::InitFromOptions init_from;
  data::DataOptions data;
  model::ModelOptions model;
  layout::BatchOptions batch;
  layout::ParallelOptions parallel;
  comm::ControlOptions control;
  coordinator::LaunchOptions launch;
  optimizer::OptimizerOptions optimizer;
  optimizer::ScheduleOptions schedule;
  coordinator::EvaluationOptions evaluation;
  coordinator::SamplingOptions sampling;
  coordinator::CheckpointOptions checkpoint;
  coordinator::ElasticOptions elastic;
  dashboard::DashboardOptions dashboard;
  dashboard::MetricsOptions metrics;
};

void describe(Fields& fields, RunConfig& config);

}  // namespace troupe::configs
