#pragma once
#include <cstdint>
#include <string>

#include "base/fields.h"

namespace troupe::dashboard {

struct DashboardOptions {
  bool enabled = true;
  std::string address = "127.0.0.1";  // another address is refused: the page has no authentication yet
  std::int64_t port = 8787;           // 0: any free one
};

struct MetricsOptions {
  bool per_expert = false;   // per-expert Prometheus series
  double peak_gflops = 0.0;  // of all workers together; 0: measured when a run starts
};

void describe(Fields& fields, DashboardOptions& options);
void describe(Fields& fields, MetricsOptions& options);

}  // namespace troupe::dashboard
