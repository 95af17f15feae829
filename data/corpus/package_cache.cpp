#include "data/corpus/package_cache.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "data/corpus/temporary_folder.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVersionFile = "version";  // written last: says that a package is whole
constexpr const char* kRootFolder = "root";
constexpr std::size_t kMaxVersionBytes = 1024;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> apt_download(std::initializer_list<std::string> options,
                                      const std::vector<std::string>& packages) {
  std::vector<std::string> command{"apt-get", "--quiet=2"};
  // As root apt would fetch as the user _apt, who cannot write into this cache.
  if (::geteuid() == 0) command.insert(command.end(), {"-o", "APT::Sandbox::User=root"});
  command.emplace_back("download");
  command.insert(command.end(), options);
  command.insert(command.end(), packages.begin(), packages.end());
  return command;
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "no message";
  const std::size_t begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

/// Sizes of what would be fetched; kConfig when apt does not know one of them.
std::map<std::string, std::int64_t> sizes_of(const std::vector<std::string>& packages,
                                             const fs::path& folder) {
  const ChildResult result = run_program(apt_download({"--print-uris"}, packages), folder);
  if (result.exit_code != 0) {
    throw Error(ErrorCode::kConfig,
                "apt-get does not offer every package of the corpus ({}): correct its name, or refresh apt's "
                "lists with "
                "`apt-get update` as root",
                last_line(result.errors));
  }
  auto sizes = detail::parse_print_uris(result.output);
  for (const std::string& package : packages) {
    if (!sizes.contains(package))
      throw Error(ErrorCode::kIo, "apt-get does not say how large package {} is", package);
  }
  return sizes;
}

void check_sizes(const std::map<std::string, std::int64_t>& sizes, std::int64_t cap_bytes,
                 const fs::path& folder) {
  std::int64_t total = 0;
  for (const auto& [package, size] : sizes) total += size;
  if (total > cap_bytes) {
    throw Error(ErrorCode::kConfig, "the packages to fetch have {} bytes, more than download_cap_bytes = {}",
                total, cap_bytes);
  }
  // Unpacked text is about four times as large as its package.
  const auto needed = static_cast<std::uintmax_t>(total) * 5;
  if (const fs::space_info space = fs::space(folder); space.available < needed) {
    throw Error(ErrorCode::kIo,
                "{} has {} MB free, but fetching and unpacking the packages needs about {} MB: make room, or "
                "set XDG_CACHE_HOME",
                folder.string(), space.available / 1'000'000, needed / 1'000'000);
  }
}

fs::path only_package_file(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".deb") return entry.path();
  }
  throw Error(ErrorCode::kIo, "apt-get reported success, but there is no package in {}", folder.string());
}

/// "vim-doc_2%3a9.0.1378-2_all.deb" → "2%3a9.0.1378-2"
std::string version_in(const fs::path& package_file) {
  const std::string name = package_file.stem().string();
  const std::size_t begin = name.find('_') + 1;
  return name.substr(begin, name.find('_', begin) - begin);
}

void download(const std::string& package, const fs::path& folder) {
  const ChildResult result = run_program(apt_download({}, {package}), folder);
  if (result.exit_code == 0) return;
  throw Error(ErrorCode::kIo,
              "cannot fetch package {}: {} (is there a network? what is fetched already is kept)", package,
              last_line(result.errors));
}

void unpack(const fs::path& package_file, const fs::path& root) {
  const std::vector<std::string> command{"dpkg-deb", "-x", package_file.string(), root.string()};
  const ChildResult result = run_program(command, root.parent_path());
  if (result.exit_code == 0) return;
  throw Error(ErrorCode::kIo, "cannot unpack {}: {} (is the disk full?)", package_file.filename().string(),
              last_line(result.errors));
}

}  // namespace

fs::path default_package_cache() {
  const std::string cache = environment("XDG_CACHE_HOME");
  if (!cache.empty() && fs::path(cache).is_absolute()) return fs::path(cache) / "troupe" / "packages";
  const std::string home = environment("HOME");
  if (home.empty())
    throw Error(ErrorCode::kConfig, "neither XDG_CACHE_HOME nor HOME says where packages can be kept");
  return fs::path(home) / ".cache" / "troupe" / "packages";
}

PackageCache::PackageCache(fs::path folder) : folder_(std::move(folder)) {}

void PackageCache::provide(const std::vector<std::string>& packages, std::int64_t cap_bytes) {
  std::vector<std::string> missing;
  for (const std::string& package : packages) {
    if (!fs::exists(folder_ / package / kVersionFile)) missing.push_back(package);
  }
  if (missing.empty()) return;
  fs::create_directories(folder_);
  const auto sizes = sizes_of(missing, folder_);
  check_sizes(sizes, cap_bytes, folder_);
  for (std::size_t i = 0; i < missing.size(); ++i) {
    log::info("fetching package {} of {}: {} ({:.1f} MB)", i + 1, missing.size(), missing[i],
              static_cast<double>(sizes.at(missing[i])) / 1e6);
    fetch(missing[i]);
  }
}

fs::path PackageCache::root_of(const std::string& package) const { return folder_ / package / kRootFolder; }

std::string PackageCache::version_of(const std::string& package) const {
  return read_file(folder_ / package / kVersionFile, kMaxVersionBytes);
}

void PackageCache::fetch(const std::string& package) {
  const TemporaryFolder temporary(folder_ / fmt::format(".{}.{}", package, ::getpid()));
  download(package, temporary.path());
  const fs::path package_file = only_package_file(temporary.path());
  unpack(package_file, temporary.path() / kRootFolder);
  fs::remove(package_file);
  write_file_atomically(temporary.path() / kVersionFile, version_in(package_file));
  std::error_code failure;
  fs::rename(temporary.path(), folder_ / package, failure);
  // Another process may have been faster: its copy is as good.
  if (failure && !fs::exists(folder_ / package / kVersionFile)) {
    throw Error(ErrorCode::kIo, "cannot keep package {} in {}: {}", package, folder_.string(),
                failure.message());
  }
}

namespace detail {
std::map<std::string, std::int64_t> parse_print_uris(const std::string& output) {
  std::map<std::string, std::int64_t> sizes;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address;
    std::string file;
    std::int64_t size = 0;
    if (line.starts_with('\'') && words >> address >> file >> size && file.find('_') != std::string::npos &&
        size >= 0) {
      sizes[file.substr(0, file.find('_'))] = size;
    }
  }
  return sizes;
}
}  // namespace detail

}  // namespace troupe::data
