#include "benchmarks/bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace troupe::benchmarks {
namespace {

double rate(const Measurement& m) { return m.amount / m.seconds.median; }
double of_floor(const Measurement& m) { return m.floor_seconds / m.seconds.median; }

std::string optional_number(double value, bool there, int decimals) {
  return there ? fmt::format("{:.{}f}", value, decimals) : "-";
}

}  // namespace

std::string to_text(const Report& report) {
  std::size_t width = 12;
  for (const auto& m : report.measurements) width = std::max(width, m.what.size());
  std::string text = report.title + "\n";
  if (!report.measurements.empty()) {
    text += fmt::format("  {:<{}}  {:>8} {:>12} {:>12} {:>12} {:>16}\n", "", width, "repeats", "median ms",
                        "spread ms", report.unit, report.floor.empty() ? "" : "of " + report.floor);
  }
  for (const auto& m : report.measurements) {
    text += fmt::format("  {:<{}}  {:>8} {:>12.3f} {:>12.3f} {:>12} {:>16}\n", m.what, width,
                        m.seconds.repeats, m.seconds.median * 1e3, (m.seconds.most - m.seconds.least) * 1e3,
                        optional_number(rate(m), m.amount > 0.0, 1),
                        optional_number(of_floor(m), m.floor_seconds > 0.0, 3));
  }
  for (const auto& part : report.parts) {
    text += fmt::format("  {:<{}}  {:>8} {:>12.3f} {:>11.2f}% {:>12}\n", part.name, width,
                        part.calls > 0 ? std::to_string(part.calls) : "-", part.seconds * 1e3,
                        100.0 * part.share, optional_number(part.rate, part.rate > 0.0, 1));
  }
  for (const auto& fact : report.facts)
    text += fmt::format("  {:<{}}  {:.6g}\n", fact.name, width, fact.value);
  return text;
}

std::string to_json(const Report& report) {
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  for (const auto& m : report.measurements) {
    nlohmann::ordered_json line{{"what", m.what},
                                {"repeats", m.seconds.repeats},
                                {"median_seconds", m.seconds.median},
                                {"least_seconds", m.seconds.least},
                                {"most_seconds", m.seconds.most}};
    if (m.amount > 0.0) line["rate"] = rate(m);
    if (m.floor_seconds > 0.0) line["of_floor"] = of_floor(m);
    lines.push_back(std::move(line));
  }
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const auto& part : report.parts) {
    parts.push_back({{"name", part.name},
                     {"seconds", part.seconds},
                     {"share", part.share},
                     {"calls", part.calls},
                     {"gflops", part.rate}});
  }
  nlohmann::ordered_json all{{"title", report.title},
                             {"unit", report.unit},
                             {"floor", report.floor},
                             {"measurements", std::move(lines)}};
  if (!parts.empty()) all["parts"] = std::move(parts);
  for (const auto& fact : report.facts) all[fact.name] = fact.value;
  return all.dump(2) + "\n";
}

void print(const Report& report, bool json) {
  const std::string text = json ? to_json(report) : to_text(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace troupe::benchmarks
