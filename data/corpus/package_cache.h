#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace troupe::data {

/// ${XDG_CACHE_HOME:-~/.cache}/troupe/packages; kConfig when neither variable helps.
[[nodiscard]] std::filesystem::path default_package_cache();

/// Debian packages, fetched by `apt-get download` and unpacked by `dpkg-deb -x` into one folder each.
/// Nothing is installed and root is not needed. A package that is there is kept as it is, so a corpus
/// does not change under a user until they delete the cache; a fetch that was cut off leaves nothing
/// that looks whole.
class PackageCache {
 public:
  explicit PackageCache(std::filesystem::path folder);

  /// Makes sure that all are unpacked. Before anything is fetched, the sizes of all that are missing are
  /// added up: more than `cap_bytes` is kConfig, as is a name that apt does not know. No network or
  /// no space is kIo.
  void provide(const std::vector<std::string>& packages, std::int64_t cap_bytes);

  /// Where a provided package's files are, as from "/".
  [[nodiscard]] std::filesystem::path root_of(const std::string& package) const;
  /// Version of a provided package, as in its file name.
  [[nodiscard]] std::string version_of(const std::string& package) const;

 private:
  void fetch(const std::string& package);

  std::filesystem::path folder_;
};

namespace detail {
/// What `apt-get download --print-uris` says: file size by package name. Lines of another form are skipped.
[[nodiscard]] std::map<std::string, std::int64_t> parse_print_uris(const std::string& output);
}  // namespace detail

}  // namespace troupe::data
