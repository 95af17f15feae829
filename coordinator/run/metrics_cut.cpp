#include "coordinator/run/metrics_cut.h"

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace troupe::coordinator {
namespace {

struct Line {
  std::int64_t step;
  bool is_evaluation;
};

std::optional<Line> parse(const std::string& text) {
  const auto object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  const auto step = object.find("step");
  if (step == object.end() || !step->is_number_integer()) return std::nullopt;
  return Line{step->get<std::int64_t>(), object.contains("domains")};
}

}  // namespace

bool cut_metrics_file(const std::filesystem::path& file, std::int64_t step) {
  if (!std::filesystem::exists(file)) return false;
  std::ifstream lines(file);
  if (!lines) throw io_error("cannot open " + file.string());
  std::string kept;
  bool evaluated = false;
  for (std::string text; std::getline(lines, text);) {
    const auto line = lines.eof() ? std::nullopt : parse(text);
    if (!line || line->step > step) continue;
    kept += text + '\n';
    evaluated = evaluated || (line->step == step && line->is_evaluation);
  }
  if (lines.bad()) throw io_error("cannot read " + file.string());
  write_file_atomically(file, kept);
  return evaluated;
}

}  // namespace troupe::coordinator
