#include "cli/run/viewed_run.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/run/training_setup.h"
#include "configs/load.h"
#include "storage/checkpoint_store.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSamplesLimit = std::size_t{64} << 20;
// A run that has said nothing for so long is not going on, as far as one can tell.
constexpr double kSilentSeconds = 60.0;

fs::path metrics_file(const fs::path& folder) {
  const fs::path file = folder / "metrics.jsonl";
  if (fs::is_regular_file(file)) return file;
  throw Error(
      ErrorCode::kConfig,
      "{}: no run is here (there is no metrics.jsonl); name the folder of a run, such as runs/quickstart-1",
      folder.string());
}

std::optional<configs::RunConfig> config_of(const fs::path& folder) try {
  return configs::load_config(folder / "config.yaml", {});
} catch (const Error& error) {
  log::warn("{}: shown without its number of steps and its prompts: {}", folder.string(), error.what());
  return std::nullopt;
}

// Names of domains are in the corpus, which may be gone: then the map of domains is not shown.
std::vector<std::string> domains_of(const std::optional<configs::RunConfig>& config) {
  if (!config) return {};
  try {
    return read_corpus_facts(*config).domains;
  } catch (const Error&) {
    return {};
  }
}

dashboard::RunInfo info_of(const fs::path& folder, const std::string& name,
                           const std::optional<configs::RunConfig>& config) {
  return {.name = name,
          .folder = folder.string(),
          .steps = config ? config->run.steps : 0,
          .workers = 0,
          .domains = domains_of(config)};
}

}  // namespace

ViewedRun::ViewedRun(fs::path folder, const std::string& name, std::size_t number, const Clock& clock)
    : folder_(std::move(folder)),
      clock_(clock),
      config_(config_of(metrics_file(folder_).parent_path())),
      hub_(info_of(folder_, name, config_), number),
      metrics_(metrics_file(folder_), hub_) {}

void ViewedRun::follow() {
  const std::int64_t before = metrics_.last_step();
  metrics_.poll();
  follow_samples();
  if (metrics_.last_step() != before) follow_checkpoints();
  const std::string now = state();
  if (now != state_) hub_.set_state(now);
  state_ = now;
}

void ViewedRun::follow_samples() {
  const fs::path file = folder_ / "samples.txt";
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(file, error);
  if (error || bytes == samples_bytes_) return;
  samples_bytes_ = bytes;
  const auto prompts = config_ ? config_->sampling.prompts : std::vector<std::string>{};
  const auto all = dashboard::parse_samples(read_file(file, kSamplesLimit), prompts);
  for (; samples_ < all.size(); ++samples_) hub_.record(all[samples_]);
}

void ViewedRun::follow_checkpoints() {
  auto all = storage::CheckpointStore(folder_ / storage::kCheckpointsFolder).list();
  std::ranges::sort(all, {}, &storage::CheckpointSummary::step);
  for (const storage::CheckpointSummary& one : all) {
    if (!checkpoints_.insert(one.step).second) continue;
    hub_.record(dashboard::CheckpointRecord{
        .step = one.step, .seconds = std::nan(""), .bytes = one.size_bytes, .error = one.problem});
  }
}

std::string ViewedRun::state() const {
  if (config_ && metrics_.last_step() >= config_->run.steps) return "finished";
  const double silence = clock_.wall_seconds() - metrics_.last_time();
  return silence < kSilentSeconds ? "training" : "not finished";
}

std::vector<std::string> run_names(const std::vector<fs::path>& folders) {
  const auto own_name = [](const fs::path& folder) {
    const fs::path whole = fs::absolute(folder).lexically_normal();
    return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  };
  std::vector<std::string> names;
  for (const fs::path& folder : folders) {
    const bool is_unique = std::ranges::count(folders, own_name(folder), own_name) == 1;
    names.push_back(is_unique ? own_name(folder) : folder.string());
  }
  return names;
}

}  // namespace troupe::cli
