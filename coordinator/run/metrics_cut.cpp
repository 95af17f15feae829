#include "coordinator/run/metrics_cut.h"

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace troupe::coordinator {
namespace {

bool belongs(const std::string& line, std::int64_t last_step) {
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  const auto step = object.find("step");
  return step != object.end() && step->is_number_integer() && step->get<std::int64_t>() <= last_step;
}

}  // namespace

void cut_metrics_file(const std::filesystem::path& file, std::int64_t step) {
  if (!std::filesystem::exists(file)) return;
  std::ifstream lines(file);
  if (!lines) throw io_error("cannot open " + file.string());
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    if (!lines.eof() && belongs(line, step)) kept += line + '\n';
  }
  if (lines.bad()) throw io_error("cannot read " + file.string());
  write_file_atomically(file, kept);
}

}  // namespace troupe::coordinator
