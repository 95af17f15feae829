#include "coordinator/run/metrics_history.h"

#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "layout/packed_counts.h"

namespace troupe::coordinator {
namespace {

using nlohmann::json;

std::vector<comm::LayerLoad> loads_of(const std::string& line) {
  std::vector<comm::LayerLoad> loads;
  const json record = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!record.is_object() || !record.contains("layers")) return loads;
  const json& layers = record["layers"];
  if (layers.is_object() && layers.contains("counts")) {  // schema 2: columns
    for (std::size_t i = 0; i < layers.at("counts").size(); ++i) {
      comm::LayerLoad& load = loads.emplace_back();
      load.layer = layers.at("layer").at(i).get<std::int64_t>();
      load.counts = layout::unpack_counts(layers.at("counts").at(i).get<std::string>());
    }
    return loads;
  }
  for (const json& layer : layers) {
    if (!layer.contains("layer") || !layer.contains("counts")) continue;
    comm::LayerLoad& load = loads.emplace_back();
    load.layer = layer["layer"].get<std::int64_t>();
    load.counts = layer["counts"].get<std::vector<std::int64_t>>();
  }
  return loads;
}

}  // namespace

std::vector<std::vector<comm::LayerLoad>> read_recent_loads(const std::filesystem::path& file,
                                                            std::size_t steps) {
  std::ifstream lines(file);
  std::deque<std::string> last;  // evaluations have no layers, but lines of their own
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\"counts\"") == std::string::npos) continue;
    last.push_back(std::move(line));
    if (last.size() > steps) last.pop_front();
  }
  std::vector<std::vector<comm::LayerLoad>> history;
  for (const std::string& line : last) {
    if (auto loads = loads_of(line); !loads.empty()) history.push_back(std::move(loads));
  }
  return history;
}

std::int64_t newest_step_in(const std::filesystem::path& file) {
  std::ifstream lines(file);
  std::string last;
  for (std::string line; std::getline(lines, line);)
    if (line.find("\"layers\"") != std::string::npos && line.ends_with('}')) last = std::move(line);
  const json record = json::parse(last, nullptr, /*allow_exceptions=*/false);
  const bool has_step = record.is_object() && record.contains("step") && record["step"].is_number_integer();
  return has_step ? record["step"].get<std::int64_t>() : -1;
}

}  // namespace troupe::coordinator
