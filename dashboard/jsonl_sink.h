#pragma once
#include <filesystem>

#include "base/file.h"
#include "dashboard/records.h"

namespace troupe::dashboard {

/// metrics.jsonl of a run: one object a line,
///   {"schema":2,"time":…,"step":…,"tokens":…,"metrics":{…},"layers":{"layer":[…],"counts":["…",…],…}}
/// per step, and one with eval_* metrics per evaluation, after the line of its step; one with "restart" where
/// workers were replaced, after the step that the run went on from. Appends; each line is one write, whole or
/// not there. Throws kIo.
class JsonlSink {
 public:
  explicit JsonlSink(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void write(const StepRecord& step);
  void write(const EvaluationRecord& evaluation);
  void write(const RestartRecord& restart);

 private:
  void append(const std::string& line);

  std::filesystem::path path_;
  FileDescriptor file_;
  std::int64_t tokens_ = 0;  // of the last step
};

}  // namespace troupe::dashboard
