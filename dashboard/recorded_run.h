#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "dashboard/metrics_hub.h"

namespace troupe::dashboard {

/// Follows metrics.jsonl of a run (jsonl_sink.h) into a hub: what is there at once, what is appended at each
/// poll. A file that was replaced, as a resume does, is read anew; a line that is not whole yet waits; one
/// that nobody can read is passed over. Not thread-safe.
class RecordedRun {
 public:
  /// Reads nothing yet. `hub` must outlive it.
  RecordedRun(std::filesystem::path metrics_file, MetricsHub& hub)
      : path_(std::move(metrics_file)), hub_(hub) {}

  /// Records the lines that are new. Throws kIo when there is no such file.
  void poll();

  [[nodiscard]] std::int64_t last_step() const { return last_step_; }
  /// Seconds since the Unix epoch; 0 before the first line.
  [[nodiscard]] double last_time() const { return last_time_; }
  [[nodiscard]] std::int64_t unreadable_lines() const { return unreadable_lines_; }

 private:
  void record_line(std::string_view line);

  std::filesystem::path path_;
  MetricsHub& hub_;
  ino_t file_ = 0;
  std::int64_t offset_ = 0;  // of the first line that is not recorded
  std::int64_t last_step_ = 0;
  double last_time_ = 0.0;
  std::int64_t unreadable_lines_ = 0;
};

/// The texts of samples.txt ("== step 100\n<prompt><text>\n\n"); the prompt is told from the text where it is
/// one of `prompts`.
[[nodiscard]] std::vector<SampleRecord> parse_samples(std::string_view file,
                                                      const std::vector<std::string>& prompts);

}  // namespace troupe::dashboard
