#include "cli/arguments/config_paths.h"

#include <filesystem>
#include <string>

#include "cli/arguments/path_option.h"

namespace troupe::cli {
namespace {

/// Without a trailing slash, `./` or `a/../`.
std::string resolved(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::absolute(user_path(path)).lexically_normal();
  return user_path((whole.has_filename() ? whole : whole.parent_path()).string());
}

}  // namespace

void resolve_paths(configs::RunConfig& config) {
  config.data.corpus = resolved(config.data.corpus);
  config.run.dir = resolved(config.run.dir);
  if (config.run.replay_routing) config.run.replay_routing = resolved(*config.run.replay_routing);
  if (config.dashboard.token_file) config.dashboard.token_file = resolved(*config.dashboard.token_file);
  if (config.launch.hostfile) config.launch.hostfile = resolved(*config.launch.hostfile);
}

}  // namespace troupe::cli
