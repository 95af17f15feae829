#include "coordinator/run/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/secrets.h"
#include "comm/control/link/run_files.h"
#include "coordinator/run/metrics_cut.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSmallFileBytes = 256;
constexpr std::size_t kNonceBytes = 16;

void create_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw Error(ErrorCode::kIo, "cannot make the folder {}: {}", path.string(), error.message());
}

/// n of "<name>-<n>", or 0.
std::int64_t number_of(const std::string& entry, const std::string& name) {
  if (!entry.starts_with(name + "-")) return 0;
  const char* begin = entry.data() + name.size() + 1;
  const char* end = entry.data() + entry.size();
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  return error == std::errc{} && stop == end ? number : 0;
}

std::int64_t highest_number(const fs::path& parent, const std::string& name) {
  std::int64_t highest = 0;
  std::error_code error;
  const fs::directory_iterator entries(parent, error);
  if (error) throw Error(ErrorCode::kIo, "cannot list the folder {}: {}", parent.string(), error.message());
  for (const auto& entry : entries) {
    highest = std::max(highest, number_of(entry.path().filename().string(), name));
  }
  return highest;
}

comm::Epoch read_epoch(const fs::path& file) {
  if (!fs::exists(file)) return 0;
  const std::string text = read_file(file, kSmallFileBytes);
  comm::Epoch epoch = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), epoch);
  if (error != std::errc{} || epoch < 0 || (stop != text.data() + text.size() && *stop != '\n')) {
    throw Error(ErrorCode::kCorrupt,
                "{} should hold the run's epoch, a number; remove the file to begin at 1", file.string());
  }
  return epoch;
}

/// Of hexadecimal digits: it becomes a part of file names.
std::string read_or_make_id(const fs::path& file) {
  if (fs::exists(file)) {
    std::string id = read_file(file, kSmallFileBytes);
    while (id.ends_with('\n')) id.pop_back();
    if (id.size() >= 16 && id.find_first_not_of("0123456789abcdef") == std::string::npos) return id;
  }
  std::string id = random_hex(kNonceBytes);
  write_file_atomically(file, id + "\n");
  return id;
}

}  // namespace

RunFolder RunFolder::create_numbered(const fs::path& parent, const std::string& name) {
  create_folders(parent);
  for (std::int64_t number = highest_number(parent, name) + 1;; ++number) {
    const fs::path path = parent / fmt::format("{}-{}", name, number);
    if (::mkdir(path.c_str(), 0755) == 0) return open(path);
    if (errno != EEXIST) throw io_error("cannot make the run folder " + path.string());
  }
}

RunFolder RunFolder::open(const fs::path& path) {
  create_folders(path);
  const fs::path absolute = fs::canonical(path);
  return RunFolder(absolute, FolderLock(absolute));
}

RunFolder::RunFolder(fs::path path, FolderLock lock)
    : path_(std::move(path)), lock_(std::move(lock)), nonce_(random_hex(kNonceBytes)) {
  create_folders(checkpoints());
  create_folders(logs());
  write_file_atomically(path_ / comm::kNonceFile, nonce_);
  id_ = read_or_make_id(path_ / "id");
}

comm::Epoch RunFolder::raise_epoch() {
  const fs::path file = path_ / "epoch";
  const comm::Epoch epoch = read_epoch(file) + 1;
  write_file_atomically(file, fmt::format("{}\n", epoch));
  return epoch;
}

void RunFolder::write_config(std::string_view yaml) { write_file_atomically(config_file(), yaml); }

bool RunFolder::cut_metrics(std::int64_t step) { return cut_metrics_file(metrics_file(), step); }

}  // namespace troupe::coordinator
