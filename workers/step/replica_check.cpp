#include "workers/step/replica_check.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/index.h"
#include "tensor/parallel.h"
#include "tensor/transfer.h"

namespace troupe::workers {
namespace {

using storage::Hash128;

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

/// By all threads: the hash of the hashes of chunks.
Hash128 hash_of(const Execution& execution, std::span<const std::byte> bytes) {
  std::vector<Hash128> chunks((bytes.size() + kChunkBytes - 1) / kChunkBytes);
  parallel_for(execution, std::ssize(chunks), [&](std::int64_t i) {
    const auto rest = bytes.subspan(at(i) * kChunkBytes);
    chunks[at(i)] = storage::hash_bytes(rest.first(std::min(kChunkBytes, rest.size())));
  });
  return storage::hash_bytes(std::as_bytes(std::span(chunks)));
}

Hash128 hash_of(const model::Model& model, ConstTensorView buffer) {
  if (model.accelerator() == nullptr) return hash_of(model.execution(), std::as_bytes(buffer.floats()));
  std::vector<float> here(at(buffer.elements()));
  transfer(model.accelerator(), buffer, std::span<float>(here));
  return hash_of(model.execution(), std::as_bytes(std::span<const float>(here)));
}

/// Of what decides on the next step, beside parameters.
Hash128 hash_of_balance(const model::Model& model, const TrainingState& state) {
  storage::Hasher hasher;
  hasher.update(std::as_bytes(model.bias()));
  for (const auto& balancer : state.balancers) hasher.update(std::as_bytes(balancer->state()));
  hasher.update(std::as_bytes(state.previous_counts.all()));
  const TrainingCounters& counters = state.counters;
  for (const std::int64_t value : {counters.step, counters.updates, counters.next_sequence})
    hasher.update(std::as_bytes(std::span(&value, 1)));
  return hasher.finish();
}

std::vector<Hash128> gather(comm::Communicator& world, const Hash128& own) {
  std::vector<Hash128> all(at(world.size()));
  const std::vector<std::int64_t> bytes(all.size(), sizeof own);
  world.all_gather_v(std::as_bytes(std::span(&own, 1)), {std::as_writable_bytes(std::span(all)), bytes});
  return all;
}

/// What the workers of a group hold most often, if more than half of them do.
std::optional<Hash128> majority(std::span<const Hash128> hashes) {
  for (const Hash128& one : hashes)
    if (2 * std::ranges::count(hashes, one) > std::ssize(hashes)) return one;
  return std::nullopt;
}

void throw_deviation(const Deviation& deviation, std::string_view what, int rank, std::int64_t step) {
  const bool several = deviation.workers.size() > 1;
  std::string text = fmt::format(
      "in step {}, worker{} {} {} other {} than the other workers: a broken memory or processor", step,
      several ? "s" : "", fmt::join(deviation.workers, ", "), several ? "hold" : "holds", what);
  if (!deviation.by_majority) text += "; which of them is right cannot be told";
  if (std::ranges::find(deviation.workers, rank) != deviation.workers.end())
    throw ReplicaMismatch(text, deviation.by_majority);
  throw Error(ErrorCode::kPeerLost, text);
}

}  // namespace

std::optional<Deviation> find_deviation(std::span<const Hash128> hashes, std::span<const int> groups) {
  std::map<int, std::vector<int>> members;
  for (std::size_t worker = 0; worker < groups.size(); ++worker)
    members[groups[worker]].push_back(static_cast<int>(worker));
  Deviation found{.workers = {}, .by_majority = true};
  for (const auto& [group, workers] : members) {
    std::vector<Hash128> theirs;
    for (const int worker : workers) theirs.push_back(hashes[at(worker)]);
    const std::optional<Hash128> right = majority(theirs);
    found.by_majority = found.by_majority && right;
    for (const int worker : workers)
      if (!right || hashes[at(worker)] != *right) found.workers.push_back(worker);
  }
  if (found.workers.empty()) return std::nullopt;
  std::ranges::sort(found.workers);
  return found;
}

void check_replicas(const model::Model& model, const TrainingState& state) {
  comm::Communicator& world = model.world();
  const std::vector<int> all(at(world.size()), 0);
  std::vector<int> holders;
  for (int worker = 0; worker < world.size(); ++worker) holders.push_back(model.layout().position(worker));
  const auto compare = [&](const Hash128& own, std::span<const int> groups, std::string_view what) {
    if (const auto deviation = find_deviation(gather(world, own), groups))
      throw_deviation(*deviation, what, world.rank(), state.counters.step + 1);
  };
  compare(hash_of(model, model.dense_buffer()), all, "dense parameters");
  compare(hash_of(model, model.expert_buffer()), holders, "experts");
  compare(hash_of_balance(model, state), all, "balance state or counters");
}

}  // namespace troupe::workers
