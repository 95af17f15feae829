/// What crash_points.py kills, and asks what is left:
///   crash_subject prepare STORE SCENARIO WORKERS   the checkpoint of step 1
///   crash_subject commit STORE SCENARIO WORKERS    the next one, between two marks that a trace shows
///   crash_subject check                            a line for each store on stdin: what a run would go on
///   from
/// Scenarios: first (nothing was there), next (step 2 follows, step 1 is removed), again (step 1 is
/// replaced).
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "storage/checkpoint_store.h"
#include "tests/storage/sample_state.h"

namespace troupe::storage {
namespace {

constexpr std::int64_t kOldEpoch = 7;
constexpr std::int64_t kNewEpoch = 8;

/// Told apart by every byte.
std::vector<SampleTensor> state_of(std::int64_t epoch) {
  std::vector<SampleTensor> state = sample_state();
  for (SampleTensor& tensor : state)
    for (std::byte& byte : tensor.bytes) byte ^= static_cast<std::byte>(epoch);
  return state;
}

CheckpointMetadata metadata_of(std::int64_t epoch, const std::string& scenario, std::int64_t workers) {
  CheckpointMetadata metadata = sample_metadata(epoch == kNewEpoch && scenario == "next" ? 2 : 1, workers);
  metadata.epoch = epoch;
  return metadata;
}

/// A system call that changes nothing and that no library makes.
void mark(const char* name) { static_cast<void>(::access(name, F_OK)); }

void prepare(const std::string& folder, const std::string& scenario, std::int64_t workers) {
  CheckpointStore store(folder);
  if (scenario != "first")
    static_cast<void>(save(store, state_of(kOldEpoch), metadata_of(kOldEpoch, scenario, workers)));
}

void commit(const std::string& folder, const std::string& scenario, std::int64_t workers) {
  CheckpointStore store(folder);
  mark("/mark/begin");
  static_cast<void>(save(store, state_of(kNewEpoch), metadata_of(kNewEpoch, scenario, workers)));
  mark("/mark/committed");
  store.retain({.keep = 1, .keep_every = 0});
  mark("/mark/end");
}

/// "old", "new", "none", or what is wrong.
std::string found_in(const std::string& folder) {
  CheckpointStore store(folder);
  store.recover();
  const IntactSearch search = store.search_intact();
  if (!search.newest) return "none";
  CheckpointReader reader(*search.newest);
  const std::int64_t epoch = reader.manifest().metadata.epoch;
  for (const SampleTensor& wanted : state_of(epoch)) {
    std::vector<std::byte> bytes(wanted.bytes.size());
    reader.read_bytes(reader.tensor(wanted.name), 0, bytes);
    if (bytes != wanted.bytes)
      return "a hybrid: " + wanted.name + " is not of epoch " + std::to_string(epoch);
  }
  for (const CheckpointSummary& one : store.list())
    if (!one.usable()) return one.folder.filename().string() + " is " + one.state();
  return epoch == kOldEpoch ? "old" : "new";
}

void check() {
  for (std::string folder; std::getline(std::cin, folder);) {
    std::string answer;
    try {
      answer = found_in(folder);
    } catch (const Error& error) {
      answer = std::string("fails: ") + error.what();
    }
    std::printf("%s\n", answer.c_str());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace troupe::storage

int main(int count, char** arguments) {
  using namespace troupe::storage;
  troupe::log::set_up("crash_subject");  // stdout is for answers
  const std::string what = count > 1 ? arguments[1] : "";
  if (what == "check" && count == 2) {
    check();
    return 0;
  }
  if (count != 5 || (what != "prepare" && what != "commit")) return 2;
  (what == "prepare" ? prepare : commit)(arguments[2], arguments[3], std::atoll(arguments[4]));
  return 0;
}
