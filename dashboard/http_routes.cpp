#include "dashboard/http_routes.h"

#include <array>

#include "dashboard/assets.h"

namespace troupe::dashboard {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kText = "text/plain; charset=utf-8";

Answer plain(int status, std::string text) { return {status, std::string(kText), std::move(text)}; }

}  // namespace

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool allowed_host(std::string_view host, std::uint16_t port) {
  constexpr std::array<std::string_view, 3> kNames{"127.0.0.1", "localhost", "[::1]"};
  for (const std::string_view name : kNames) {
    if (host == name || host == std::string(name) + ":" + std::to_string(port)) return true;
  }
  return false;
}

Answer admit(const Query& query, std::uint16_t port) {
  if (!allowed_host(query.host, port)) return plain(403, "This server answers to localhost only.\n");
  if (!query.is_get) return plain(405, "Only GET is possible here.\n");
  return {};
}

Answer route(std::string_view path, const MetricsHub& hub, bool per_expert_metrics) {
  if (const Asset* asset = find_asset(path)) {
    return {200, std::string(asset->content_type), std::string(asset->content)};
  }
  if (path == "/api/state") return {200, std::string(kJson), hub.state_json()};
  if (path == "/api/history") return {200, std::string(kJson), hub.history_json()};
  if (path == "/api/loads") return {200, std::string(kJson), hub.loads_json()};
  if (path == "/api/shares") return {200, std::string(kJson), hub.shares_json()};
  if (path == "/metrics") return {200, std::string(kPrometheus), hub.prometheus(per_expert_metrics)};
  return plain(404, "There is nothing here.\n");
}

}  // namespace troupe::dashboard
