#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"

namespace troupe::dashboard {

struct DashboardOptions {
  bool enabled = true;
  std::string address = "127.0.0.1";      // beyond loopback only with a token
  std::int64_t port = 8787;               // 0: any free one
  std::optional<std::string> token_file;  // null: <run folder>/dashboard-token, where one is needed
  std::vector<std::string> host_names;    // more names that a Host header may have
};

struct MetricsOptions {
  bool per_expert = false;   // per-expert Prometheus series
  double peak_gflops = 0.0;  // of all workers together; 0: measured when a run starts
};

void describe(Fields& fields, DashboardOptions& options);
void describe(Fields& fields, MetricsOptions& options);

}  // namespace troupe::dashboard
