#include "workers/routing/routing_files.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/index.h"
#include "data/batch_order.h"
#include "experts/router/selector.h"
#include "model/parameters.h"
#include "storage/hdf5/file.h"
#include "storage/shard.h"
#include "storage/verified_file.h"
#include "workers/routing/routing_format.h"

namespace troupe::workers {
namespace {

using namespace detail;

std::vector<std::int64_t> all_sequences(std::span<const std::int64_t> first, std::int64_t micro_batch) {
  std::vector<std::int64_t> result;
  for (const std::int64_t sequence : first) {
    for (std::int64_t i = 0; i < micro_batch; ++i) result.push_back(sequence + i);
  }
  return result;
}

/// Returns the hashes: [layers, sequences].
std::vector<std::int64_t> write_layers(storage::hdf5::File& file, const RoutingShape& shape,
                                       const StepRouting<const std::int32_t>& routing) {
  std::vector<std::int64_t> hashes;
  const std::int64_t microbatches = std::ssize(routing.sequences);
  const std::vector<std::int64_t> sizes{microbatches * shape.micro_batch * shape.sequence_length,
                                        shape.slots};
  for (std::int64_t layer = 0; layer < std::ssize(shape.layers); ++layer) {
    auto dataset =
        file.create_dataset(layer_dataset(shape.layers[at(layer)]), storage::ElementType::kI32, sizes);
    for (std::int64_t m = 0; m < microbatches; ++m) {
      const std::int64_t begin = m * shape.microbatch_slots() + layer * shape.layer_slots();
      dataset.write(m * shape.layer_slots(), part(routing.slots, begin, shape.layer_slots()));
      for (std::int64_t i = 0; i < shape.micro_batch; ++i) {
        hashes.push_back(
            slots_hash(part(routing.slots, begin + i * shape.sequence_slots(), shape.sequence_slots())));
      }
    }
  }
  return hashes;
}

void write_file(const std::filesystem::path& path, std::int64_t step, const RoutingShape& shape,
                const StepRouting<const std::int32_t>& routing) {
  auto file = storage::hdf5::File::create(path);
  const FileHead head{.step = step,
                      .batch_sequences = shape.batch_sequences,
                      .sequence_length = shape.sequence_length,
                      .origin = shape.origin,
                      .sequences = all_sequences(routing.sequences, shape.micro_batch),
                      .hashes = write_layers(file, shape, routing)};
  file.write_dataset(kSequences, std::span<const std::int64_t>(head.sequences));
  file.write_dataset(kHashes, std::span<const std::int64_t>(head.hashes));
  file.set_attribute("/", kBatchSequences, head.batch_sequences);
  file.set_attribute("/", kSequenceLength, head.sequence_length);
  file.set_attribute("/", kSeed, std::to_string(head.origin.seed));
  file.set_attribute("/", kCorpus, head.origin.corpus);
  file.set_attribute("/", kOrder, head.origin.order);
  file.set_attribute("/", kContentHash, content_hash(head));
  file.close();
}

/// Files of one step, and which of them holds a sequence.
class StepFiles {
 public:
  StepFiles(std::filesystem::path folder, std::int64_t step, const RoutingShape& shape)
      : folder_(std::move(folder)), step_(step), shape_(shape) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() == ".h5") paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    for (const auto& path : paths) open(path);
    require_whole();
  }

  void read(const StepRouting<std::int32_t>& routing) const {
    for (std::int64_t m = 0; m < std::ssize(routing.sequences); ++m) {
      for (std::int64_t layer = 0; layer < std::ssize(shape_.layers); ++layer) {
        const std::int64_t begin = m * shape_.microbatch_slots() + layer * shape_.layer_slots();
        read_layer(routing.sequences[at(m)], shape_.layers[at(layer)],
                   part(routing.slots, begin, shape_.layer_slots()));
      }
    }
  }

 private:
  struct Place {
    std::size_t file;
    std::int64_t row;  // of sequences
  };
  struct OpenFile {
    storage::hdf5::File file;
    FileHead head;
  };

  void open(const std::filesystem::path& path) {
    auto& [file, head] = files_.emplace_back(storage::hdf5::File::open(path), FileHead{});
    head = read_head(file);
    require_equal(file, head.batch_sequences, shape_.batch_sequences, "batch.sequences");
    require_equal(file, head.sequence_length, shape_.sequence_length, "data.sequence_length");
    for (std::int64_t row = 0; row < std::ssize(head.sequences); ++row) {
      const std::int64_t sequence = head.sequences[at(row)];
      if (sequence < 0 || sequence >= shape_.batch_sequences)
        throw damaged(file, fmt::format("sequence {} of {}", sequence, shape_.batch_sequences));
      if (!places_.emplace(sequence, Place{files_.size() - 1, row}).second)
        throw damaged(file, fmt::format("sequence {}, which is there a second time", sequence));
    }
    check_layers(file, std::ssize(head.sequences));
    require_equal(file, head.origin.seed, shape_.origin.seed, "run.seed");
    require_equal(file, head.origin.corpus, shape_.origin.corpus, "training text of content");
    require_equal(file, head.origin.order, shape_.origin.order, "data.*");
    if (std::ssize(head.hashes) != std::ssize(shape_.layers) * std::ssize(head.sequences))
      throw damaged(file, fmt::format("{} hashes", head.hashes.size()));
    if (content_hash(head) != file.string_attribute("/", kContentHash))
      throw damaged(file, "a content that does not have the hash that was written with it");
  }

  FileHead read_head(const storage::hdf5::File& file) const {
    return {.step = step_,
            .batch_sequences = file.integer_attribute("/", kBatchSequences),
            .sequence_length = file.integer_attribute("/", kSequenceLength),
            .origin = {.seed = read_seed(file),
                       .corpus = file.string_attribute("/", kCorpus),
                       .order = file.string_attribute("/", kOrder)},
            .sequences = numbers(file, kSequences),
            .hashes = numbers(file, kHashes)};
  }

  std::uint64_t read_seed(const storage::hdf5::File& file) const {
    const std::string text = file.string_attribute("/", kSeed);
    std::uint64_t seed = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (failure != std::errc() || end != text.data() + text.size()) throw damaged(file, "seed " + text);
    return seed;
  }

  static std::vector<std::int64_t> numbers(const storage::hdf5::File& file, const char* name) {
    const auto dataset = file.open_dataset(name);
    std::vector<std::int64_t> values(at(dataset.elements()));
    dataset.read(0, std::span(values));
    return values;
  }

  template <class Value>
  static void require_equal(const storage::hdf5::File& file, const Value& found, const Value& expected,
                            std::string_view option) {
    if (found == expected) return;
    throw Error(ErrorCode::kConfig, "run.replay_routing: {} was recorded with {} = {}, and here it is {}",
                file.path(), option, found, expected);
  }

  void check_layers(const storage::hdf5::File& file, std::int64_t sequences) const {
    const std::vector<std::int64_t> expected{sequences * shape_.sequence_length, shape_.slots};
    for (const std::int64_t layer : shape_.layers) {
      if (!file.contains(layer_dataset(layer))) {
        throw Error(ErrorCode::kConfig,
                    "run.replay_routing: {} has nothing of layer {}: replay with the recorded run's layers",
                    file.path(), layer);
      }
      const auto dataset = file.open_dataset(layer_dataset(layer));
      const auto sizes = dataset.sizes();
      if (std::ranges::equal(sizes, expected)) continue;
      throw Error(
          ErrorCode::kConfig,
          "run.replay_routing: {}: layer {} of step {} is [{}], and here it would be [{}], tokens and "
          "slots: replay with the recorded run's top_k and selection",
          file.path(), layer, step_, fmt::join(sizes, ", "), fmt::join(expected, ", "));
    }
  }

  void require_whole() const {
    for (std::int64_t sequence = 0; sequence < shape_.batch_sequences; ++sequence) {
      if (places_.contains(sequence)) continue;
      throw Error(
          ErrorCode::kCorrupt,
          "run.replay_routing: {} has {} of the batch's {} sequences; the first that is missing is {}: "
          "a worker's file is gone, or the run was stopped in this step: record it again",
          folder_.string(), places_.size(), shape_.batch_sequences, sequence);
    }
  }

  // slots: [micro_batch * sequence_length, slots]
  void read_layer(std::int64_t first_sequence, std::int64_t layer, std::span<std::int32_t> slots) const {
    std::vector<std::int64_t> taken(at(shape_.choices));
    for (std::int64_t i = 0; i < shape_.micro_batch; ++i) {
      const Place place = places_.at(first_sequence + i);
      const auto& [file, head] = files_[place.file];
      const auto rows = part(slots, i * shape_.sequence_slots(), shape_.sequence_slots());
      file.open_dataset(layer_dataset(layer)).read(place.row * shape_.sequence_slots(), rows);
      check(file, layer, rows, taken);
      if (slots_hash(rows) != head.hashes[hash_index(head, layer, place.row)]) {
        throw damaged(file, fmt::format("choices of sequence {} in layer {} without their hash",
                                        first_sequence + i, layer));
      }
    }
  }

  [[nodiscard]] std::size_t hash_index(const FileHead& head, std::int64_t layer, std::int64_t row) const {
    const auto index = std::ranges::find(shape_.layers, layer) - shape_.layers.begin();
    return at(index * std::ssize(head.sequences) + row);
  }

  // rows: [sequence_length, slots]; taken: tokens of each choice, added to
  void check(const storage::hdf5::File& file, std::int64_t layer, std::span<const std::int32_t> rows,
             std::vector<std::int64_t>& taken) const {
    const std::int64_t lowest = shape_.leaves_out ? -1 - shape_.choices : -1;
    for (const std::int32_t slot : rows) {
      if (slot < lowest || slot >= shape_.choices)
        throw damaged(file, fmt::format("expert {} of {} in layer {}", slot, shape_.choices, layer));
      if (slot >= 0 && ++taken[at(slot)] > shape_.most_tokens)
        throw damaged(file, fmt::format("expert {} more than {} times in a microbatch of layer {}", slot,
                                        shape_.most_tokens, layer));
    }
    for (std::int64_t begin = 0; begin < std::ssize(rows); begin += shape_.slots)
      check_distinct(file, layer, part(rows, begin, shape_.slots));
  }

  /// token: [slots], of one token; a candidate that was left out counts, too
  void check_distinct(const storage::hdf5::File& file, std::int64_t layer,
                      std::span<const std::int32_t> token) const {
    const auto candidate = [](std::int32_t slot) { return slot >= -1 ? slot : -2 - slot; };
    for (std::size_t i = 0; i < token.size(); ++i) {
      if (token[i] == -1) continue;
      for (std::size_t j = 0; j < i; ++j) {
        if (token[j] == -1 || candidate(token[i]) != candidate(token[j])) continue;
        throw damaged(file,
                      fmt::format("expert {} twice for one token of layer {}", candidate(token[i]), layer));
      }
    }
  }

  [[nodiscard]] Error damaged(const storage::hdf5::File& file, const std::string& what) const {
    return {ErrorCode::kCorrupt,
            "run.replay_routing: {} names {}, in step {}: it is damaged, or of a run with another batch or "
            "router",
            file.path(), what, step_};
  }

  std::filesystem::path folder_;
  std::int64_t step_;
  const RoutingShape& shape_;
  std::vector<OpenFile> files_;
  std::map<std::int64_t, Place> places_;  // by sequence
};

}  // namespace

RoutingShape::RoutingShape(const TrainingOptions& options, const std::string& corpus)
    : origin{.seed = options.seed, .corpus = corpus, .order = data::order_of(options.data)},
      batch_sequences(options.batch.sequences()),
      sequence_length(options.data.sequence_length),
      micro_batch(options.batch.micro_batch),
      choices(options.model.moe.choices()),
      leaves_out(options.model.moe.router.selection == experts::Selection::kGshardSecond) {
  const experts::MoeOptions& moe = options.model.moe;
  const std::int64_t tokens = micro_batch * sequence_length;
  slots = experts::make_selector(moe, 0)->slots(tokens);
  const bool by_expert = moe.router.selection == experts::Selection::kExpertChoice;
  most_tokens = by_expert ? experts::expert_choice_size(moe, tokens) : tokens;
  for (std::int64_t i = 0; i < model::moe_layers(options.model); ++i)
    layers.push_back(model::layer_of_moe(options.model, i));
}

std::filesystem::path step_folder(const std::filesystem::path& recording, std::int64_t step) {
  return recording / fmt::format("step-{:08}", step);
}

void write_routing(const std::filesystem::path& recording, std::int64_t step, std::int64_t worker,
                   const RoutingShape& shape, const StepRouting<const std::int32_t>& routing) {
  const std::filesystem::path folder = step_folder(recording, step);
  const std::filesystem::path path = folder / storage::shard_file_name(worker);
  const std::filesystem::path unfinished = path.string() + ".unfinished";
  storage::make_folders(folder);
  storage::remove_tree(unfinished);
  write_file(unfinished, step, shape, routing);
  storage::rename_path(unfinished, path);
}

void read_routing(const std::filesystem::path& recording, std::int64_t step, const RoutingShape& shape,
                  const StepRouting<std::int32_t>& routing) {
  const std::filesystem::path folder = step_folder(recording, step);
  if (!std::filesystem::is_directory(folder)) {
    throw Error(ErrorCode::kConfig,
                "run.replay_routing: {} is missing: name the routing folder of a run that recorded step {}",
                folder.string(), step);
  }
  StepFiles(folder, step, shape).read(routing);
}

}  // namespace troupe::workers
