#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dashboard/metrics_hub.h"

namespace troupe::dashboard {

/// What a request is answered with, but for events.
struct Answer {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};  // more of them
};
[[nodiscard]] Answer plain(int status, std::string text);

inline constexpr std::string_view kEventsPath = "/api/events";

[[nodiscard]] std::string_view path_of(std::string_view target);

/// Answer of an admitted request. `/api/runs/1/state` is of run 1, `/api/state` of run 0.
[[nodiscard]] Answer route(std::string_view path, const HubList& runs, bool per_expert_metrics);

}  // namespace troupe::dashboard
