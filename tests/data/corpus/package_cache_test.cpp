#include "data/corpus/package_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "tests/data/expect_error.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

/// Stands in for apt-get: knows two packages, writes what it is asked to a log.
constexpr const char* kAptGet = R"(#!/bin/sh
for package in "$@"; do :; done
echo "$@" >> "$FAKE_LOG"
case "$*" in
  *--print-uris*)
    case "$*" in *unknown*) echo "E: Unable to locate package unknown" >&2; exit 100;; esac
    for name in "$@"; do
      case "$name" in small|large|broken) echo "'x:///$name' ${name}_1.0_all.deb $FAKE_SIZE SHA256:0";; esac
    done;;
  *broken*) echo "E: Failed to fetch broken" >&2; exit 100;;
  *) echo "content of $package" > "${package}_1.0_all.deb";;
esac
)";
constexpr const char* kDpkgDeb = R"(#!/bin/sh
mkdir -p "$3/usr" && cp "$2" "$3/usr/file"
)";

class PackageCacheTest : public ::testing::Test {
 protected:
  PackageCacheTest() : cache_(folder_ / "cache") {
    fs::create_directories(folder_ / "bin");
    write_file_atomically(folder_ / "bin" / "apt-get", kAptGet, 0755);
    write_file_atomically(folder_ / "bin" / "dpkg-deb", kDpkgDeb, 0755);
    set("PATH", (folder_ / "bin").string() + ":" + std::getenv("PATH"));
    set("FAKE_LOG", (folder_ / "log").string());
    set("FAKE_SIZE", "1000");
  }
  ~PackageCacheTest() override {
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }

  void set(const char* name, const std::string& value) {
    const char* before = std::getenv(name);
    before_.emplace(name, before == nullptr ? "" : before);
    ASSERT_EQ(::setenv(name, value.c_str(), 1), 0);
  }
  [[nodiscard]] std::string log() const {
    return fs::exists(folder_ / "log") ? read_file(folder_ / "log", 1 << 20) : "";
  }
  /// Everything in the cache, hidden leftovers included.
  [[nodiscard]] std::size_t entries() const {
    return fs::exists(folder_ / "cache")
               ? static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_ / "cache"), {}))
               : 0;
  }

  test::ScratchFolder folder_;
  PackageCache cache_;
  std::map<std::string, std::string> before_;
};

TEST_F(PackageCacheTest, FetchesAndUnpacksWhatIsMissing) {
  cache_.provide({"small", "large"}, 2000);
  EXPECT_EQ(read_file(cache_.root_of("small") / "usr" / "file", 100), "content of small\n");
  EXPECT_EQ(read_file(cache_.root_of("large") / "usr" / "file", 100), "content of large\n");
  EXPECT_EQ(cache_.version_of("small"), "1.0");
  EXPECT_EQ(entries(), 2U);
}

TEST_F(PackageCacheTest, AsksNobodyForWhatIsThere) {
  cache_.provide({"small"}, 2000);
  const std::string before = log();
  cache_.provide({"small"}, 0);
  EXPECT_EQ(log(), before);
}

TEST_F(PackageCacheTest, RefusesMoreThanTheCapBeforeFetching) {
  expect_error(ErrorCode::kConfig, "2000 bytes, more than download_cap_bytes = 1999", [&] {
    cache_.provide({"small", "large"}, 1999);
  });
  EXPECT_EQ(entries(), 0U);
}

TEST_F(PackageCacheTest, RefusesWhenTheDiskHasNoRoom) {
  set("FAKE_SIZE", "1000000000000000");
  expect_error(ErrorCode::kIo, "make room",
               [&] { cache_.provide({"small"}, std::numeric_limits<std::int64_t>::max()); });
}

TEST_F(PackageCacheTest, PassesOnWhatAptSaysOfAnUnknownPackage) {
  expect_error(ErrorCode::kConfig, "E: Unable to locate package unknown", [&] {
    cache_.provide({"small", "unknown"}, 5000);
  });
  EXPECT_EQ(entries(), 0U);
}

TEST_F(PackageCacheTest, LeavesNothingOfAFetchThatFailsAndKeepsTheOthers) {
  expect_error(ErrorCode::kIo, "cannot fetch package broken: E: Failed to fetch broken", [&] {
    cache_.provide({"small", "broken"}, 5000);
  });
  EXPECT_EQ(entries(), 1U);
  EXPECT_TRUE(fs::exists(cache_.root_of("small")));
}

TEST_F(PackageCacheTest, LeavesNothingOfAPackageThatCannotBeUnpacked) {
  write_file_atomically(folder_ / "bin" / "dpkg-deb", "#!/bin/sh\necho 'no space' >&2; exit 2\n", 0755);
  expect_error(ErrorCode::kIo, "cannot unpack small_1.0_all.deb: no space",
               [&] { cache_.provide({"small"}, 5000); });
  EXPECT_EQ(entries(), 0U);
}

TEST_F(PackageCacheTest, LiesUnderTheCacheFolderOfTheUser) {
  set("XDG_CACHE_HOME", "/somewhere");
  EXPECT_EQ(default_package_cache(), "/somewhere/troupe/packages");
  set("XDG_CACHE_HOME", "");
  set("HOME", "/home/someone");
  EXPECT_EQ(default_package_cache(), "/home/someone/.cache/troupe/packages");
  set("HOME", "");
  expect_error(ErrorCode::kConfig, "XDG_CACHE_HOME", [] { (void)default_package_cache(); });
}

TEST(ParsePrintUris, ReadsSizesAndSkipsOtherLines) {
  const auto sizes = detail::parse_print_uris(
      "Reading lists\n"
      "'x:///vim-doc_2%3a9.0_all.deb' vim-doc_2%3a9.0_all.deb 2449912 SHA256:6a7e\n"
      "'x' broken\n'x' a_b -5\n'x' c_d notanumber\n");
  EXPECT_EQ(sizes, (std::map<std::string, std::int64_t>{{"vim-doc", 2449912}}));
}

}  // namespace
}  // namespace troupe::data
