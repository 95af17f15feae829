#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "dashboard/http_server.h"
#include "dashboard/metrics_hub.h"
#include "dashboard/options.h"

namespace troupe::cli {

/// The page of a run that trains: its server, the token that it asks for, and where people find it.
class RunPage {
 public:
  /// With dashboard.enabled it serves at once; `hub` must outlive it. Throws as HttpServer does, and for a
  /// token file that is none.
  RunPage(const dashboard::DashboardOptions& options, bool per_expert, dashboard::MetricsHub& hub);

  /// A token of the run's own is new with every start, and in the folder once there is one.
  void keep_token(const std::filesystem::path& run_folder) const;

  /// For people; empty without a page. Not the token itself: output ends in files that many can read.
  [[nodiscard]] std::string address(const std::filesystem::path& run_folder) const;

 private:
  [[nodiscard]] std::filesystem::path token_file(const std::filesystem::path& run_folder) const;

  dashboard::DashboardOptions options_;
  std::string token_;  // empty: the page asks for none
  std::optional<dashboard::HttpServer> server_;
};

}  // namespace troupe::cli
