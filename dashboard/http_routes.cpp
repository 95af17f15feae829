#include "dashboard/http_routes.h"

#include <charconv>
#include <utility>

#include "base/index.h"
#include "dashboard/assets.h"
#include "dashboard/json.h"

namespace troupe::dashboard {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kText = "text/plain; charset=utf-8";

std::string runs_json(const HubList& runs) {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t number = 0; number < runs.size(); ++number)
    list.push_back({{"number", number}, {"name", runs[number]->name()}});
  return dump(list);
}

/// 1 and "state" of "/api/runs/1/state", 0 and "state" of "/api/state"; an empty part of another path.
std::pair<std::size_t, std::string_view> run_and_part(std::string_view path) {
  constexpr std::string_view kRuns = "/api/runs/";
  constexpr std::string_view kFirst = "/api/";
  if (!path.starts_with(kRuns)) return {0, path.starts_with(kFirst) ? path.substr(kFirst.size()) : ""};
  const std::string_view rest = path.substr(kRuns.size());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  const auto digits = at(end - rest.data());
  if (error != std::errc{} || !rest.substr(digits).starts_with('/')) return {0, ""};
  return {number, rest.substr(digits + 1)};
}

/// Empty when there is no such part.
std::string part_of(const MetricsHub& hub, std::string_view part) {
  if (part == "state") return hub.state_json();
  if (part == "history") return hub.history_json();
  if (part == "loads") return hub.loads_json();
  if (part == "shares") return hub.shares_json();
  return {};
}

}  // namespace

Answer plain(int status, std::string text) { return {status, std::string(kText), std::move(text)}; }

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

Answer route(std::string_view path, const HubList& runs, bool per_expert_metrics) {
  if (const Asset* asset = find_asset(path)) {
    return {200, std::string(asset->content_type), std::string(asset->content)};
  }
  if (path == "/api/runs") return {200, std::string(kJson), runs_json(runs)};
  if (path == "/metrics" && runs.size() == 1)
    return {200, std::string(kPrometheus), runs.front()->prometheus(per_expert_metrics)};
  const auto [run, part] = run_and_part(path);
  if (run >= runs.size()) return plain(404, "There is no such run here.\n");
  const std::string body = part_of(*runs[run], part);
  if (body.empty()) return plain(404, "There is nothing here.\n");
  return {200, std::string(kJson), body};
}

}  // namespace troupe::dashboard
