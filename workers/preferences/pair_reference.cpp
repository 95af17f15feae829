#include "workers/preferences/pair_reference.h"

#include <algorithm>
#include <bit>
#include <span>

#include "base/error.h"
#include "base/index.h"
#include "storage/hdf5/file.h"
#include "storage/verified_file.h"
#include "workers/preferences/pair_scorer.h"

namespace troupe::workers {
namespace {

namespace fs = std::filesystem;
using model::PairScores;
using storage::hdf5::File;

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kScores = 2;  // of a pair

/// whole: every microbatch is, with pairs of the next epoch, as in training
std::vector<PairScores> scores_of(model::Model& model, const PairFile& pairs, bool whole) {
  PairScorer scorer(model, pairs.dataset, pairs.order);
  comm::Communicator& world = model.world();
  const std::int64_t micro_batch = model.shape().max_tokens / model.shape().sequence_length;
  const std::int64_t sequences = pairs.order.sequences();
  const std::int64_t microbatches = (sequences + micro_batch - 1) / micro_batch;
  std::vector<std::int64_t> bits(kScores *
                                 at(pairs.order.pair_count()));  // of doubles, which cross workers as sums
  for (std::int64_t i = 0; i < microbatches; i += world.size()) {
    const std::int64_t first = (i + world.rank()) * micro_batch;
    const std::int64_t rest = std::min(micro_batch, sequences - first);
    scorer.score(first, rest > 0 && whole ? micro_batch : rest,
                 [&](const data::PlacedPair& pair, std::int64_t sequence, const PairScores& scores) {
                   if (first + sequence >= sequences) return;  // it was there before
                   bits[kScores * at(pair.number)] = std::bit_cast<std::int64_t>(scores.chosen);
                   bits[kScores * at(pair.number) + 1] = std::bit_cast<std::int64_t>(scores.rejected);
                 });
  }
  world.all_reduce_sum(bits);  // of each pair one worker has something
  std::vector<PairScores> result;
  for (std::size_t i = 0; i < bits.size(); i += kScores)
    result.push_back({std::bit_cast<double>(bits[i]), std::bit_cast<double>(bits[i + 1])});
  return result;
}

std::span<const double> as_numbers(const std::vector<PairScores>& scores) {
  static_assert(sizeof(PairScores) == kScores * sizeof(double));
  return {scores.empty() ? nullptr : &scores.front().chosen, kScores * scores.size()};
}

std::string hash_of(const std::vector<PairScores>& scores) {
  return storage::hash_bytes(std::as_bytes(as_numbers(scores))).to_string();
}

void write_part(File& file, const std::string& name, const PairFile& pairs,
                const std::vector<PairScores>& scores) {
  file.set_attribute("/", name + "_content_hash", pairs.dataset.content_hash());
  file.set_attribute("/", name + "_hash", hash_of(scores));
  file.write_dataset<double>(name, as_numbers(scores));
}

std::vector<double> read_numbers(const File& file, const std::string& name, std::int64_t pairs) {
  const storage::hdf5::Dataset dataset = file.open_dataset(name);
  std::vector<double> numbers(kScores * at(pairs));
  if (dataset.sizes().size() != 1 || dataset.elements() != std::ssize(numbers)) {
    throw Error(ErrorCode::kCorrupt, "{}: '{}' has {} numbers for {} pairs", file.path(), name,
                dataset.elements(), pairs);
  }
  dataset.read<double>(0, numbers);
  return numbers;
}

std::vector<PairScores> read_part(const File& file, const std::string& name, const PairFile& pairs) {
  if (file.string_attribute("/", name + "_content_hash") != pairs.dataset.content_hash()) {
    throw Error(
        ErrorCode::kConfig,
        "{} has the log-probabilities of other pairs than {}: dpo compares with those of the run's own "
        "corpus, by the weights that it began with",
        file.path(), pairs.dataset.path().string());
  }
  const std::vector<double> numbers = read_numbers(file, name, pairs.order.pair_count());
  std::vector<PairScores> scores;
  for (std::size_t i = 0; i < numbers.size(); i += kScores) scores.push_back({numbers[i], numbers[i + 1]});
  if (file.string_attribute("/", name + "_hash") == hash_of(scores)) return scores;
  throw Error(ErrorCode::kCorrupt,
              "{}: '{}' does not have the hash that was written with it: the file is damaged; restore it, or "
              "begin a new run with --init-from",
              file.path(), name);
}

File open_reference(const fs::path& path) {
  if (!storage::path_exists(path)) {
    throw Error(
        ErrorCode::kConfig,
        "{} is missing: it has the log-probabilities by the weights that the run began with, which dpo "
        "compares with; restore it, or begin a new run with --init-from",
        path.string());
  }
  File file = File::open(path);
  if (const auto version = file.integer_attribute("/", "format_version"); version != kVersion)
    throw Error(ErrorCode::kCorrupt, "{}: format version {}, this program reads {}", path.string(), version,
                kVersion);
  return file;
}

}  // namespace

PairReference compute_reference(model::Model& model, const PairFiles& files) {
  return {.train = scores_of(model, files.train, true), .heldout = scores_of(model, files.heldout, false)};
}

void write_reference(const PairReference& reference, const PairFiles& files, const fs::path& path) {
  File file = File::create_in_memory(path.filename().string());
  file.set_attribute("/", "format_version", kVersion);
  write_part(file, "train", files.train, reference.train);
  write_part(file, "heldout", files.heldout, reference.heldout);
  const fs::path temporary = path.string() + ".tmp";
  storage::remove_tree(temporary);
  storage::write_verified(temporary, file.image());
  storage::rename_path(temporary, path);
}

PairReference read_reference(const fs::path& path, const PairFiles& files) {
  const File file = open_reference(path);
  return {.train = read_part(file, "train", files.train),
          .heldout = read_part(file, "heldout", files.heldout)};
}

std::vector<PairScores> read_heldout_reference(const fs::path& path, const PairFile& heldout) {
  return read_part(open_reference(path), "heldout", heldout);
}

fs::path reference_of(const fs::path& checkpoint) {
  return fs::absolute(checkpoint).parent_path().parent_path() / kReferenceFile;
}

}  // namespace troupe::workers
