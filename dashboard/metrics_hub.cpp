#include "dashboard/metrics_hub.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "dashboard/json.h"
#include "dashboard/prometheus.h"

namespace troupe::dashboard {

using nlohmann::json;

namespace {

constexpr std::size_t kSamples = 50;
constexpr std::size_t kNotes = 200;
constexpr std::size_t kCheckpoints = 1000;
constexpr std::size_t kEvaluations = 4096;

template <class T>
void drop_every_second(std::vector<T>& values) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); i += 2) {
    if (kept != i) values[kept] = std::move(values[i]);
    ++kept;
  }
  values.resize(kept);
}

// The numbers of all layers as one curve each: the worst layer is what people watch.
std::map<std::string, double> curve_values(const StepRecord& step) {
  std::map<std::string, double> values = step.metrics;
  for (const LayerRecord& layer : step.layers) {
    for (const auto& [name, value] : layer.metrics) {
      const bool low_is_bad = name == "load_entropy" || name == "load_p05" || name == "bias_min";
      const auto [at, is_new] = values.emplace(name, value);
      if (!is_new) at->second = low_is_bad ? std::min(at->second, value) : std::max(at->second, value);
    }
  }
  return values;
}

json step_json(const StepRecord& step) {
  json layers = json::array();
  for (const LayerRecord& layer : step.layers) {
    layers.push_back({{"layer", layer.layer},
                      {"metrics", numbers(layer.metrics)},
                      {"load", relative_load(layer.counts)},
                      {"bias", layer.bias},
                      {"shares", !layer.domains.empty() || !layer.co_activation.empty()}});
  }
  return {{"time", step.time},
          {"step", step.step},
          {"tokens", step.tokens},
          {"metrics", numbers(curve_values(step))},
          {"layers", layers}};
}

template <class Records>
json array_of(const Records& records) {
  json result = json::array();
  for (const auto& record : records) result.push_back(to_json(record));
  return result;
}

json phases_json(const std::map<std::int64_t, std::map<std::string, double>>& phases) {
  json result = json::object();
  for (const auto& [rank, seconds] : phases) result[std::to_string(rank)] = numbers(seconds);
  return result;
}

std::string event_text(const std::string& event, const json& data) {
  return "event: " + event + "\ndata: " + dump(data) + "\n\n";
}

}  // namespace

MetricsHub::MetricsHub(RunInfo info, std::size_t number) : number_(number), info_(std::move(info)) {}

std::string MetricsHub::name() const {
  const std::scoped_lock lock(mutex_);
  return info_.name;
}

void MetricsHub::record(const StepRecord& step) {
  {
    const std::scoped_lock lock(mutex_);
    latest_ = step;
    const bool is_new = curve_steps_.empty() || step.step > curve_steps_.back();
    if (is_new) keep_curve_point(step);
    if (is_new) keep_load_frame(step);
    keep_shares(step);
  }
  publish("step", step_json(step));
}

void MetricsHub::record(const EvaluationRecord& evaluation) {
  {
    const std::scoped_lock lock(mutex_);
    const bool is_new = evaluations_.empty() || evaluation.step > evaluations_.back().step;
    if (is_new) evaluations_.push_back(evaluation);
    if (evaluations_.size() > kEvaluations) drop_every_second(evaluations_);
  }
  publish("evaluation", to_json(evaluation));
}

void MetricsHub::record(const SampleRecord& sample) {
  {
    const std::scoped_lock lock(mutex_);
    samples_.push_back(sample);
    if (samples_.size() > kSamples) samples_.pop_front();
  }
  publish("sample", to_json(sample));
}

void MetricsHub::record(const CheckpointRecord& checkpoint) {
  {
    const std::scoped_lock lock(mutex_);
    checkpoints_.push_back(checkpoint);
    if (checkpoints_.size() > kCheckpoints) checkpoints_.erase(checkpoints_.begin());
    if (!checkpoint.error.empty()) ++checkpoint_failures_;
  }
  publish("checkpoint", to_json(checkpoint));
}

void MetricsHub::record(const RestartRecord& restart) {
  {
    const std::scoped_lock lock(mutex_);
    info_.workers = restart.workers;
    if (restart.epoch > restart_epoch_) ++(restart.rolled_back ? roll_backs_ : restarts_);
    restart_epoch_ = std::max(restart_epoch_, restart.epoch);
    if (restart.rolled_back) forget_after(restart.step);
  }
  if (restart.rolled_back) publish("rolled_back", {{"step", restart.step}});
}

void MetricsHub::forget_after(std::int64_t step) {
  const auto later = std::ranges::upper_bound(curve_steps_, step);
  const auto kept = static_cast<std::size_t>(later - curve_steps_.begin());
  curve_steps_.resize(kept);
  for (auto& [name, values] : curves_) values.resize(kept);
  std::erase_if(frames_, [step](const LoadFrame& frame) { return frame.step > step; });
  std::erase_if(evaluations_, [step](const EvaluationRecord& one) { return one.step > step; });
}

void MetricsHub::record_phases(std::int64_t rank, const std::map<std::string, double>& phase_seconds) {
  const std::scoped_lock lock(mutex_);
  phases_[rank] = phase_seconds;
}

void MetricsHub::set_workers(std::vector<WorkerRecord> workers, std::int64_t epoch) {
  {
    const std::scoped_lock lock(mutex_);
    workers_ = std::move(workers);
    info_.epoch = epoch;
    workers_until_ = first_event_ + events_.size() + 1;
  }
  append_event({});  // events_since() writes it
}

void MetricsHub::set_stragglers(std::vector<StragglerRecord> stragglers) {
  const std::scoped_lock lock(mutex_);
  stragglers_ = std::move(stragglers);
}

void MetricsHub::set_folder(const std::string& folder) {
  const std::scoped_lock lock(mutex_);
  info_.folder = folder;
}

void MetricsHub::set_state(const std::string& state) {
  {
    const std::scoped_lock lock(mutex_);
    state_ = state;
  }
  publish("state", {{"state", state}});
}

void MetricsHub::note(const std::string& severity, const std::string& text) {
  {
    const std::scoped_lock lock(mutex_);
    notes_.emplace_back(severity, text);
    if (notes_.size() > kNotes) notes_.pop_front();
  }
  publish("note", {{"severity", severity}, {"text", text}});
}

void MetricsHub::set_listener(std::function<void()> listener) {
  const std::scoped_lock lock(mutex_);
  listener_ = std::move(listener);
}

void MetricsHub::keep_curve_point(const StepRecord& step) {
  if (!curve_thinning_.keep_next()) return;
  if (curve_steps_.size() == kCurvePoints) {
    drop_every_second(curve_steps_);
    for (auto& [name, values] : curves_) drop_every_second(values);
    curve_thinning_.stride *= 2;
  }
  constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
  curve_steps_.push_back(step.step);
  for (const auto& [name, value] : curve_values(step)) {
    auto& values = curves_[name];
    values.resize(curve_steps_.size() - 1, kMissing);
    values.push_back(value);
  }
  for (auto& [name, values] : curves_) values.resize(curve_steps_.size(), kMissing);
}

void MetricsHub::keep_load_frame(const StepRecord& step) {
  if (step.layers.empty() || !frame_thinning_.keep_next()) return;
  if (frames_.size() == kLoadFrames) {
    drop_every_second(frames_);
    frame_thinning_.stride *= 2;
  }
  LoadFrame frame{.step = step.step, .load = {}};
  for (const LayerRecord& layer : step.layers) frame.load.push_back(relative_load(layer.counts));
  frames_.push_back(std::move(frame));
}

void MetricsHub::keep_shares(const StepRecord& step) {
  const auto keep = [&](const std::vector<std::int64_t>& counts, Table& table) {
    if (!counts.empty()) table = {step.step, counts};
  };
  for (const LayerRecord& layer : step.layers) {
    keep(layer.domains, shares_[layer.layer].domains);
    keep(layer.co_activation, shares_[layer.layer].co_activation);
  }
}

void MetricsHub::publish(const std::string& event, json data) {
  data["run"] = number_;
  append_event(event_text(event, data));
}

void MetricsHub::append_event(std::string text) {
  std::function<void()> listener;
  {
    const std::scoped_lock lock(mutex_);
    events_.push_back(std::move(text));
    if (events_.size() > kEvents) {
      events_.pop_front();
      ++first_event_;
    }
    listener = listener_;
  }
  if (listener) listener();
}

std::string MetricsHub::state_json() const {
  const std::scoped_lock lock(mutex_);
  json notes = json::array();
  for (const auto& [severity, text] : notes_) notes.push_back({{"severity", severity}, {"text", text}});
  return dump({{"run",
                {{"name", info_.name},
                 {"folder", info_.folder},
                 {"steps", info_.steps},
                 {"world_size", info_.workers},
                 {"epoch", info_.epoch},
                 {"restarts", restarts_},
                 {"roll_backs", roll_backs_},
                 {"domains", info_.domains}}},
               {"state", state_},
               {"step", step_json(latest_)},
               {"workers", array_of(workers_)},
               {"phases", phases_json(phases_)},
               {"evaluations", array_of(evaluations_)},
               {"samples", array_of(samples_)},
               {"checkpoints", array_of(checkpoints_)},
               {"notes", notes}});
}

std::string MetricsHub::history_json() const {
  const std::scoped_lock lock(mutex_);
  json metrics = json::object();
  for (const auto& [name, values] : curves_) {
    json column = json::array();
    for (const double value : values) column.push_back(number(value));
    metrics[name] = std::move(column);
  }
  return dump({{"steps", curve_steps_}, {"metrics", metrics}});
}

std::string MetricsHub::loads_json() const {
  const std::scoped_lock lock(mutex_);
  json layers = json::array();
  for (const LayerRecord& layer : latest_.layers) layers.push_back(layer.layer);
  json frames = json::array();
  for (const LoadFrame& frame : frames_) frames.push_back({{"step", frame.step}, {"load", frame.load}});
  return dump({{"layers", layers}, {"frames", frames}});
}

std::string MetricsHub::shares_json() const {
  const std::scoped_lock lock(mutex_);
  const auto table = [](const Table& one) { return json{{"step", one.step}, {"counts", one.counts}}; };
  json layers = json::array();
  for (const auto& [layer, shares] : shares_) {
    layers.push_back({{"layer", layer},
                      {"domains", table(shares.domains)},
                      {"co_activation", table(shares.co_activation)}});
  }
  return dump({{"layers", layers}});
}

std::string MetricsHub::prometheus(bool per_expert) const {
  const std::scoped_lock lock(mutex_);
  return prometheus_text({.info = info_,
                          .state = state_,
                          .step = latest_,
                          .evaluation = evaluations_.empty() ? nullptr : &evaluations_.back(),
                          .checkpoint = checkpoints_.empty() ? nullptr : &checkpoints_.back(),
                          .checkpoint_failures = checkpoint_failures_,
                          .restarts = restarts_,
                          .roll_backs = roll_backs_,
                          .workers = workers_,
                          .stragglers = stragglers_,
                          .phases = phases_},
                         per_expert);
}

MetricsHub::Events MetricsHub::events_since(std::uint64_t from) const {
  std::unique_lock lock(mutex_);
  Events result{.text = {}, .next = first_event_ + events_.size()};
  for (std::uint64_t i = std::max(from, first_event_); i < result.next; ++i)
    result.text += events_[i - first_event_];
  if (workers_until_ <= from) return result;
  const auto [workers, phases, epoch] = std::tuple(workers_, phases_, info_.epoch);
  lock.unlock();  // thousands of workers take a while to write
  result.text += event_text(
      "workers",
      {{"workers", array_of(workers)}, {"phases", phases_json(phases)}, {"epoch", epoch}, {"run", number_}});
  return result;
}

std::uint64_t MetricsHub::next_event() const {
  const std::scoped_lock lock(mutex_);
  return first_event_ + events_.size();
}

}  // namespace troupe::dashboard
