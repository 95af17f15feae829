#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/run/viewed_run.h"
#include "cli/subcommands.h"
#include "dashboard/http_server.h"

namespace troupe::cli {
namespace {

constexpr std::chrono::seconds kFollowInterval{1};

struct ViewArguments {
  std::vector<std::filesystem::path> folders;
  std::int64_t port = 0;
};

// A file that cannot be read for a moment (a folder that is moved, a network) does not end the page.
void follow(ViewedRun& run) try { run.follow(); } catch (const Error& error) {
  log::warn("{}", error.what());
}

int view(const ViewArguments& arguments) {
  log::set_up("view");
  const SystemClock clock;
  const auto names = run_names(arguments.folders);
  std::deque<ViewedRun> runs;
  dashboard::HubList hubs;
  for (std::size_t i = 0; i < names.size(); ++i) {
    runs.emplace_back(arguments.folders[i], names[i], i, clock).follow();
    hubs.push_back(&runs.back().hub());
  }
  const dashboard::HttpServer server(
      {.enabled = true, .port = arguments.port, .token_file = {}, .host_names = {}}, false, hubs);
  std::printf("%s shows %s; Ctrl-C ends\n", server.url().c_str(),
              runs.size() == 1 ? names.front().c_str() : (std::to_string(runs.size()) + " runs").c_str());
  std::fflush(stdout);
  while (true) {
    std::this_thread::sleep_for(kFollowInterval);
    for (ViewedRun& run : runs) follow(run);
  }
}

}  // namespace

void add_view(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<ViewArguments>();
  auto* subcommand =
      program.add_subcommand("view", "The page of runs that are over or going on, from their folders");
  subcommand->add_option("RUN", arguments->folders, "Folders of runs; several are overlaid")->required();
  subcommand->add_option("--port", arguments->port, "Port of the page on 127.0.0.1; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  subcommand->footer("Example:\n  troupe view runs/quickstart-1 runs/quickstart-2");
  subcommand->callback([arguments, &action] { action = [arguments] { return view(*arguments); }; });
}

}  // namespace troupe::cli
