/// Serves the page for tests in a browser: of runs whose metrics.jsonl the test writes, and of what it says
/// on stdin, a JSON object a line, each answered by a line:
///   {"run":0,"poll":true}                         what was appended to the run's metrics.jsonl
///   {"run":0,"workers":[{"rank":0,"host":"a","suspected":false}],"phases":{"0":{"forward":0.5}}}
///   {"run":0,"checkpoint":{"step":5,"error":"disk full"}}   {"run":0,"note":"text"} {"run":0,"state":"text"}
/// page_stand_in NAME METRICS_FILE [NAME METRICS_FILE…]; the first line of its output is the page's address.
#include <deque>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "dashboard/http_server.h"
#include "dashboard/recorded_run.h"

namespace troupe::dashboard {
namespace {

using nlohmann::json;

struct Run {
  Run(const std::string& name, const std::string& file, std::size_t number)
      : hub({.name = name, .folder = file, .steps = 1000, .workers = 2, .domains = {"c", "python"}}, number),
        recorded(file, hub) {
    hub.set_state("training");
  }
  MetricsHub hub;
  RecordedRun recorded;
};

void set_workers(MetricsHub& hub, const json& command) {
  const json phases_by_rank = command.value("phases", json::object());
  for (const auto& [rank, phases] : phases_by_rank.items())
    hub.record_phases(std::stoll(rank), phases.get<std::map<std::string, double>>());
  std::vector<WorkerRecord> workers;
  for (const json& worker : command["workers"]) {
    workers.push_back({.rank = worker["rank"].get<std::int64_t>(),
                       .host = worker["host"].get<std::string>(),
                       .process_id = 123456,
                       .heartbeat_age_seconds = 0.5,
                       .suspected = worker.value("suspected", false)});
  }
  hub.set_workers(std::move(workers), 1);
}

void obey(Run& run, const json& command) {
  if (command.contains("poll")) run.recorded.poll();
  if (command.contains("workers")) set_workers(run.hub, command);
  if (command.contains("note")) run.hub.note("info", command["note"]);
  if (command.contains("state")) run.hub.set_state(command["state"]);
  if (command.contains("checkpoint")) {
    const json& checkpoint = command["checkpoint"];
    run.hub.record(CheckpointRecord{.step = checkpoint["step"],
                                    .seconds = 0.5,
                                    .bytes = 1 << 20,
                                    .error = checkpoint.value("error", "")});
  }
}

void serve(const std::vector<std::string>& arguments) {
  std::deque<Run> runs;
  HubList hubs;
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    runs.emplace_back(arguments[i], arguments[i + 1], hubs.size());
    hubs.push_back(&runs.back().hub);
  }
  const HttpServer server(
      {.enabled = true, .address = "127.0.0.1", .port = 0, .token_file = {}, .host_names = {}},
      /*per_expert_metrics=*/true, hubs);
  std::cout << server.url() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const json command = json::parse(line);
    obey(runs.at(command["run"].get<std::size_t>()), command);
    std::cout << "done" << std::endl;
  }
}

}  // namespace
}  // namespace troupe::dashboard

int main(int argc, char** argv) { troupe::dashboard::serve({argv + 1, argv + argc}); }
