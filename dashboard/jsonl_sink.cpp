#include "dashboard/jsonl_sink.h"

#include <fcntl.h>

#include <span>

#include "dashboard/json.h"

namespace troupe::dashboard {

using nlohmann::json;

JsonlSink::JsonlSink(const std::filesystem::path& path)
    : path_(path), file_(FileDescriptor::open(path, O_WRONLY | O_CREAT | O_APPEND)) {}

void JsonlSink::write(const StepRecord& step) {
  tokens_ = step.tokens;
  append(dump({{"schema", kMetricsSchema},
               {"time", step.time},
               {"step", step.step},
               {"tokens", step.tokens},
               {"metrics", numbers(step.metrics)},
               {"layers", layer_columns(step.layers)}}));
}

void JsonlSink::write(const EvaluationRecord& evaluation) {
  json record = to_json(evaluation);
  append(dump({{"schema", kMetricsSchema},
               {"time", evaluation.time},
               {"step", evaluation.step},
               {"tokens", tokens_},
               {"metrics", record["total"]},
               {"domains", record["domains"]},
               {"evaluation_layers", record["layers"]}}));
}

void JsonlSink::write(const RestartRecord& restart) {
  append(dump({{"schema", kMetricsSchema},
               {"time", restart.time},
               {"step", restart.step},
               {"restart", to_json(restart)}}));
}

void JsonlSink::append(const std::string& line) {
  const std::string text = line + "\n";
  append_all(file_, std::as_bytes(std::span(text)), path_);
}

}  // namespace troupe::dashboard
