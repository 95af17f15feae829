/// Reads every file of a corpus by its target, with whatever compiler the tests are built with:
///   fuzz_replay CORPUS               CORPUS/<target>/<file>, each of which must be read or refused, and one
///   of each
///                                    target read: a format that changed needs new seeds (write_seeds.cpp)
///   fuzz_replay TARGET FILE...       a finding
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = std::size_t{128} << 20;
constexpr long kMostKilobytes = 64 << 10;  // more than the program had before

long peak_kilobytes() {
  struct rusage usage {};
  return ::getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

struct Counts {
  int files = 0;
  int accepted = 0;
  int findings = 0;
};

void read_file_by(const Target& target, const fs::path& path, Counts& counts) {
  ++counts.files;
  const std::string bytes = read_file(path, kMostBytes);
  const long before = peak_kilobytes();
  try {
    counts.accepted += read(target, bytes) ? 1 : 0;
  } catch (const std::exception& error) {
    ++counts.findings;
    std::printf("%s: %s\n", path.c_str(), error.what());
  }
  const long more = peak_kilobytes() - before;
  if (more <= kMostKilobytes + std::ssize(bytes) / 1024) return;
  ++counts.findings;
  std::printf("%s: %zu bytes took %ld KiB of memory\n", path.c_str(), bytes.size(), more);
}

bool replay_seeds(const Target& target, const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);
  Counts counts;
  for (const fs::path& path : paths) read_file_by(target, path, counts);
  std::printf("%s: %d of %d files are accepted\n", std::string(target.name).c_str(), counts.accepted,
              counts.files);
  return counts.findings == 0 && counts.accepted > 0;
}

int replay_corpus(const fs::path& corpus) {
  bool good = true;
  for (const Target& target : targets()) good = replay_seeds(target, corpus / target.name) && good;
  return good ? 0 : 1;
}

int replay_files(const std::string& name, const std::vector<fs::path>& paths) {
  const auto found = std::ranges::find(targets(), name, &Target::name);
  if (found == targets().end()) {
    std::printf("no target is called %s\n", name.c_str());
    return 2;
  }
  Counts counts;
  for (const fs::path& path : paths) read_file_by(*found, path, counts);
  std::printf("%d of %d files are accepted\n", counts.accepted, counts.files);
  return counts.findings == 0 ? 0 : 1;
}

}  // namespace
}  // namespace troupe::fuzz

int main(int count, char** arguments) {
  if (count == 2) return troupe::fuzz::replay_corpus(arguments[1]);
  if (count < 3) return 2;
  return troupe::fuzz::replay_files(arguments[1], {arguments + 2, arguments + count});
}
