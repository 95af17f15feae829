#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "configs/run_config.h"
#include "dashboard/metrics_hub.h"
#include "dashboard/recorded_run.h"

namespace troupe::cli {

/// A run that is looked at through its folder alone: metrics, samples and checkpoints as they are written,
/// whether by a process that lives or by one that ended long ago. Reads only.
class ViewedRun {
 public:
  /// name: for the page. number: among the viewed runs. Throws kConfig when the folder is none of a run.
  ViewedRun(std::filesystem::path folder, const std::string& name, std::size_t number, const Clock& clock);

  [[nodiscard]] dashboard::MetricsHub& hub() { return hub_; }
  /// Reads what is new.
  void follow();

 private:
  void follow_samples();
  void follow_checkpoints();
  [[nodiscard]] std::string state() const;

  std::filesystem::path folder_;
  const Clock& clock_;
  std::optional<configs::RunConfig> config_;  // none when it cannot be read
  dashboard::MetricsHub hub_;
  dashboard::RecordedRun metrics_;
  std::string state_;
  std::uintmax_t samples_bytes_ = 0;
  std::size_t samples_ = 0;
  std::set<std::int64_t> checkpoints_;  // steps of those that are shown
};

/// What the page calls each run: the folder's own name, or the whole path where two have the same.
[[nodiscard]] std::vector<std::string> run_names(const std::vector<std::filesystem::path>& folders);

}  // namespace troupe::cli
