#include "dashboard/recorded_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "dashboard/json.h"
#include "layout/packed_counts.h"

namespace troupe::dashboard {
namespace {

using nlohmann::json;

/// Numbers of an object; null stands for one that JSON cannot say.
std::map<std::string, double> numbers_of(const json& object) {
  std::map<std::string, double> result;
  for (const auto& [name, value] : object.items()) {
    if (value.is_number()) result[name] = value.get<double>();
    if (value.is_null()) result[name] = std::nan("");
  }
  return result;
}

double number_of(const json& value) { return value.is_null() ? std::nan("") : value.get<double>(); }

using Counts = std::vector<std::int64_t>;

/// Columns whose null means that a layer has none, not that a number is not finite.
const std::set<std::string, std::less<>> kTables{"counts", "dropped", "aux_losses", "domain_counts",
                                                 "co_activation"};

LayerRecord layer_of(const json& line) {
  LayerRecord layer{.layer = line.at("layer").get<std::int64_t>(),
                    .counts = line.at("counts").get<Counts>(),
                    .bias = {},
                    .dropped = line.value("dropped", Counts()),
                    .zero_compute = line.value("zero_compute", std::int64_t{0}),
                    .domains = line.value("domain_counts", Counts()),
                    .co_activation = line.value("co_activation", Counts()),
                    .metrics = numbers_of(line)};
  layer.metrics.erase("layer");
  layer.metrics.erase("zero_compute");
  return layer;
}

/// What the columns of one line say of layer number i among those with experts; null: nothing.
LayerRecord layer_of(const json& columns, std::size_t i) {
  const auto cell = [&](const char* name) {
    const auto column = columns.find(name);
    return column != columns.end() && i < column->size() ? column->at(i) : json();
  };
  const auto table = [&](const char* name) {
    const json packed = cell(name);
    return packed.is_null() ? Counts() : layout::unpack_counts(packed.get<std::string>());
  };
  LayerRecord layer{.layer = columns.at("layer").at(i).get<std::int64_t>(),
                    .counts = layout::unpack_counts(columns.at("counts").at(i).get<std::string>()),
                    .bias = {},
                    .dropped = table("dropped"),
                    .domains = table("domain_counts"),
                    .co_activation = table("co_activation"),
                    .metrics = {}};
  if (const json zero = cell("zero_compute"); !zero.is_null()) layer.zero_compute = zero.get<std::int64_t>();
  if (const json losses = cell("aux_losses"); !losses.is_null()) {
    for (const json& loss : losses) layer.aux_losses.push_back(number_of(loss));
  }
  for (const auto& [name, column] : columns.items()) {
    const bool metric = name != "layer" && name != "zero_compute" && i < column.size() &&
                        (column[i].is_number() || (column[i].is_null() && !kTables.contains(name)));
    if (metric) layer.metrics[name] = number_of(column[i]);
  }
  return layer;
}

/// Of a line of either schema: columns, or an object per layer.
std::vector<LayerRecord> layers_of(const json& layers) {
  std::vector<LayerRecord> records;
  if (layers.is_object() && !layers.empty()) {
    for (std::size_t i = 0; i < layers.at("layer").size(); ++i) records.push_back(layer_of(layers, i));
  } else {
    for (const json& layer : layers) records.push_back(layer_of(layer));
  }
  return records;
}

StepRecord step_of(const json& line) {
  StepRecord step{.time = line.at("time").get<double>(),
                  .step = line.at("step").get<std::int64_t>(),
                  .tokens = line.at("tokens").get<std::int64_t>(),
                  .metrics = numbers_of(line.at("metrics")),
                  .layers = layers_of(line.at("layers"))};
  return step;
}

DomainEvaluation domain_evaluation(const json& metrics) {
  const auto number = [&](const char* name) {
    const auto found = metrics.find(name);
    return found != metrics.end() && found->is_number() ? found->get<double>() : std::nan("");
  };
  DomainEvaluation evaluation{.loss = number("eval_loss"),
                              .bits_per_byte = number("eval_bits_per_byte"),
                              .tokens = metrics.value("tokens", std::int64_t{0})};
  if (metrics.contains("eval_preference_accuracy")) evaluation.accuracy = number("eval_preference_accuracy");
  return evaluation;
}

EvaluationRecord evaluation_of(const json& line) {
  EvaluationRecord evaluation{.time = line.at("time").get<double>(),
                              .step = line.at("step").get<std::int64_t>(),
                              .total = domain_evaluation(line.at("metrics")),
                              .domains = {},
                              .layers = {}};
  for (const auto& [name, metrics] : line.at("domains").items())
    evaluation.domains[name] = domain_evaluation(metrics);
  for (const json& layer : line.value("evaluation_layers", json::array())) {
    LayerEvaluation& record = evaluation.layers.emplace_back();
    record.layer = layer.at("layer").get<std::int64_t>();
    record.metrics = numbers_of(layer);
    record.metrics.erase("layer");
  }
  return evaluation;
}

RestartRecord restart_of(const json& object) {
  const json& restart = object.at("restart");
  return {.time = object.at("time").get<double>(),
          .step = object.at("step").get<std::int64_t>(),
          .failed_step = restart.at("failed_step").get<std::int64_t>(),
          .epoch = restart.at("epoch").get<std::int64_t>(),
          .workers = restart.at("workers").get<std::int64_t>(),
          .reason = restart.at("reason").get<std::string>(),
          .rolled_back = restart.value("rolled_back", false)};
}

/// Appends the next part of the file; false at its end.
bool read_part(const FileDescriptor& file, std::int64_t offset, std::string& text,
               const std::filesystem::path& path) {
  constexpr std::size_t kPart = 1 << 20;
  const std::size_t before = text.size();
  text.resize(before + kPart);
  const ssize_t bytes = ::pread(file.get(), text.data() + before, kPart, offset);
  if (bytes < 0) throw io_error("cannot read " + path.string());
  text.resize(before + at(bytes));
  return bytes > 0;
}

/// The step of "== step 100", or none.
std::optional<std::int64_t> sample_heading(std::string_view line) {
  constexpr std::string_view kHeading = "== step ";
  if (!line.starts_with(kHeading)) return std::nullopt;
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(line.data() + kHeading.size(), line.data() + line.size(), step);
  return error == std::errc{} && end == line.data() + line.size() ? std::optional(step) : std::nullopt;
}

void finish(SampleRecord& sample, const std::vector<std::string>& prompts) {
  while (sample.text.ends_with('\n')) sample.text.pop_back();
  const auto prompt =
      std::ranges::find_if(prompts, [&](const std::string& one) { return sample.text.starts_with(one); });
  if (prompt == prompts.end()) return;
  sample.prompt = *prompt;
  sample.text.erase(0, prompt->size());
}

}  // namespace

void RecordedRun::poll() {
  const FileDescriptor file = FileDescriptor::open(path_, O_RDONLY);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw io_error("cannot read " + path_.string());
  if (status.st_ino != file_ || status.st_size < offset_) offset_ = 0;
  file_ = status.st_ino;
  std::string text;
  while (read_part(file, offset_ + static_cast<std::int64_t>(text.size()), text, path_)) {
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      record_line(std::string_view(text).substr(begin, end - begin));
    text.erase(0, begin);
    offset_ += static_cast<std::int64_t>(begin);
  }
}

void RecordedRun::record_line(std::string_view line) try {
  const json object = json::parse(line);
  if (object.contains("restart")) {
    const RestartRecord restart = restart_of(object);
    hub_.note("warning", fmt::format("step {}: went on from here after {}", restart.step, restart.reason));
    hub_.record(restart);
  } else if (object.contains("layers")) {
    const StepRecord step = step_of(object);
    hub_.record(step);
    last_step_ = step.step;
    last_time_ = step.time;
  } else {
    hub_.record(evaluation_of(object));
  }
} catch (const json::exception&) {
  ++unreadable_lines_;
} catch (const Error&) {  // of counts that cannot be unpacked
  ++unreadable_lines_;
}

std::vector<SampleRecord> parse_samples(std::string_view file, const std::vector<std::string>& prompts) {
  std::vector<SampleRecord> samples;
  while (!file.empty()) {
    const std::string_view line = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(file.size(), line.size() + 1));
    if (const auto step = sample_heading(line)) {
      samples.push_back({.step = *step, .prompt = {}, .text = {}});
    } else if (!samples.empty()) {
      samples.back().text.append(line).append("\n");
    }
  }
  for (SampleRecord& sample : samples) finish(sample, prompts);
  return samples;
}

}  // namespace troupe::dashboard
