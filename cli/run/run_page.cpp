#include "cli/run/run_page.h"

#include <fmt/format.h>

#include "base/file.h"
#include "dashboard/access.h"

namespace troupe::cli {
namespace {

std::string page_token(const dashboard::DashboardOptions& options) {
  if (!options.enabled || !dashboard::needs_token(options)) return {};
  return options.token_file ? dashboard::read_or_make_token(*options.token_file) : dashboard::make_token();
}

}  // namespace

RunPage::RunPage(const dashboard::DashboardOptions& options, bool per_expert, dashboard::MetricsHub& hub)
    : options_(options), token_(page_token(options)) {
  if (options.enabled) server_.emplace(options, per_expert, dashboard::HubList{&hub}, token_);
}

void RunPage::keep_token(const std::filesystem::path& run_folder) const {
  if (!token_.empty() && !options_.token_file)
    write_file_atomically(token_file(run_folder), token_ + "\n", 0600);
}

std::string RunPage::address(const std::filesystem::path& run_folder) const {
  if (!server_) return {};
  std::string text = server_->url();
  if (!token_.empty()) text += fmt::format("?token=$(cat {})", token_file(run_folder).string());
  if (options_.port != 0 && options_.port != server_->port())
    text += fmt::format(" (port {} is in use)", options_.port);
  return text;
}

std::filesystem::path RunPage::token_file(const std::filesystem::path& run_folder) const {
  return options_.token_file.value_or(run_folder / "dashboard-token");
}

}  // namespace troupe::cli
