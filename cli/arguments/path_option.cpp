#include "cli/arguments/path_option.h"

#include <fcntl.h>

#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace troupe::cli {

std::string user_path(const std::string& path) {
  if (!is_utf8(path)) {
    throw Error(ErrorCode::kConfig,
                "the path {} is not UTF-8: rename it, or reach it by a link with such a name", path);
  }
  if (!path.starts_with('~')) return path;
  const char* home = std::getenv("HOME");
  if (path.size() > 1 && path[1] != '/') {
    throw Error(ErrorCode::kConfig, "{}: only ~/ is known here; write the folder's whole path (or ./{})",
                path, path);
  }
  if (home == nullptr || *home == '\0') throw Error(ErrorCode::kConfig, "{}: HOME is not set", path);
  return home + path.substr(1);
}

void require_writable(const std::filesystem::path& file) {
  std::error_code missing;
  const bool is_new = !std::filesystem::exists(file, missing);
  FileDescriptor::open(file, O_WRONLY | O_CREAT).close();
  if (is_new) std::filesystem::remove(file, missing);
}

}  // namespace troupe::cli
