#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "dashboard/metrics_hub.h"
#include "dashboard/options.h"

namespace troupe::dashboard {

/// Serves the page of one or several runs on a thread of its own, to whoever presents the token where there
/// is one (access.h):
///   /             the page and its files, from the program itself
///   /api/runs     their numbers and names
///   /api/state, /api/history, …, /api/runs/1/state, …    JSON (metrics_hub.h)
///   /api/events   server-sent events, one per record of any run
///   /metrics      Prometheus, of a single run
/// GET only; requests whose Host is not this server's name are refused. A request has 5 s
/// to arrive, a response 10 s to leave, an event 10 s; 64 connections, of which the one that has waited
/// longest gives way to one more, and 64 streams; 8 KiB of request.
class HttpServer {
 public:
  /// Listens at once, on the next free of 100 ports when the one asked for is in use. Throws kConfig for an
  /// address beyond loopback without a token, kIo when none of them is free. `runs`, at least one, by number,
  /// must outlive it.
  HttpServer(const DashboardOptions& options, bool per_expert_metrics, HubList runs, std::string token = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  /// "http://127.0.0.1:8787/"
  [[nodiscard]] std::string url() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::dashboard
