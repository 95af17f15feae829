#include "dashboard/options.h"

namespace troupe::dashboard {

void describe(Fields& fields, DashboardOptions& options) {
  fields.flag("enabled", options.enabled, "Serve the live page and /metrics");
  fields.text("address", options.address,
              "Where the page listens; beyond loopback, page and /metrics ask for a token");
  fields.integer("port", options.port, {0, 65535}, "Port of the page; 0: any free one");
  fields.optional_text(
      "token_file", options.token_file,
      "File of the page's token, made where it is missing, and then asked for on loopback too; null: "
      "<run folder>/dashboard-token beyond loopback, a new one each time");
  fields.texts(
      "host_names", options.host_names,
      "More names of this host that browsers may ask for the page by, beside its own and its addresses");
}

void describe(Fields& fields, MetricsOptions& options) {
  fields.flag("per_expert", options.per_expert,
              "Prometheus series for every single expert: layers x experts of them");
  fields.real("peak_gflops", options.peak_gflops, kNonNegativeReal,
              "Billions of floating-point operations a second of all workers together, which MFU refers to; "
              "0: what their matrix products reach when the run starts");
}

}  // namespace troupe::dashboard
