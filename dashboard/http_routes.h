#pragma once
#include <string>
#include <string_view>

#include "dashboard/metrics_hub.h"

namespace troupe::dashboard {

/// What a request is answered with, but for events.
struct Answer {
  int status = 200;
  std::string content_type;
  std::string body;
};

/// A request as far as routing looks at it.
struct Query {
  bool is_get = true;  // or HEAD
  std::string target;  // path, perhaps with "?…", which is ignored
  std::string host;    // Host header
};

inline constexpr std::string_view kEventsPath = "/api/events";

[[nodiscard]] std::string_view path_of(std::string_view target);

/// True when `host` names a loopback address or localhost, with this port or none: anything else is a page
/// of another origin that was pointed here.
[[nodiscard]] bool allowed_host(std::string_view host, std::uint16_t port);

/// Refusal of a request (403, 405), or status 200 when it may be answered.
[[nodiscard]] Answer admit(const Query& query, std::uint16_t port);

/// Answer of an admitted request. `/api/runs/1/state` is of run 1, `/api/state` of run 0.
[[nodiscard]] Answer route(std::string_view path, const HubList& runs, bool per_expert_metrics);

}  // namespace troupe::dashboard
