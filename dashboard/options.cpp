#include "dashboard/options.h"

namespace troupe::dashboard {

void describe(Fields& fields, DashboardOptions& options) {
  fields.flag("enabled", options.enabled, "Serve the live page and /metrics");
  fields.text("address", options.address,
              "Where the page listens: a loopback address, since it asks nobody for a password");
  fields.integer("port", options.port, {0, 65535}, "Port of the page; 0: any free one");
}

void describe(Fields& fields, MetricsOptions& options) {
  fields.flag("per_expert", options.per_expert,
              "Prometheus series for every single expert: layers x experts of them");
  fields.real("peak_gflops", options.peak_gflops, kNonNegativeReal,
              "Billions of floating-point operations a second of all workers together, which MFU refers to; "
              "0: what their matrix products reach when the run starts");
}

}  // namespace troupe::dashboard
