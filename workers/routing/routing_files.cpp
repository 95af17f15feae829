#include "workers/routing/routing_files.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/error.h"
#include "experts/router/selector.h"
#include "model/parameters.h"
#include "storage/hdf5/file.h"
#include "storage/shard.h"
#include "storage/verified_file.h"

namespace troupe::workers {
namespace {

constexpr const char* kSequences = "sequences";
constexpr const char* kBatchSequences = "batch_sequences";
constexpr const char* kSequenceLength = "sequence_length";

std::string layer_dataset(std::int64_t layer) { return fmt::format("layers/{:02}/chosen", layer); }

template <class Slot>
std::span<Slot> part(std::span<Slot> all, std::int64_t begin, std::int64_t count) {
  return all.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
}

std::vector<std::int64_t> all_sequences(std::span<const std::int64_t> first, std::int64_t micro_batch) {
  std::vector<std::int64_t> result;
  for (const std::int64_t sequence : first) {
    for (std::int64_t i = 0; i < micro_batch; ++i) result.push_back(sequence + i);
  }
  return result;
}

void write_layers(storage::hdf5::File& file, const RoutingShape& shape,
                  const StepRouting<const std::int32_t>& routing) {
  const std::int64_t microbatches = std::ssize(routing.sequences);
  const std::vector<std::int64_t> sizes{microbatches * shape.micro_batch * shape.sequence_length,
                                        shape.slots};
  for (std::int64_t layer = 0; layer < std::ssize(shape.layers); ++layer) {
    auto dataset = file.create_dataset(layer_dataset(shape.layers[static_cast<std::size_t>(layer)]),
                                       storage::ElementType::kI32, sizes);
    for (std::int64_t m = 0; m < microbatches; ++m) {
      const std::int64_t begin = m * shape.microbatch_slots() + layer * shape.layer_slots();
      dataset.write(m * shape.layer_slots(), part(routing.slots, begin, shape.layer_slots()));
    }
  }
}

void write_file(const std::filesystem::path& path, const RoutingShape& shape,
                const StepRouting<const std::int32_t>& routing) {
  auto file = storage::hdf5::File::create(path);
  const auto sequences = all_sequences(routing.sequences, shape.micro_batch);
  file.write_dataset(kSequences, std::span<const std::int64_t>(sequences));
  file.set_attribute("/", kBatchSequences, shape.batch_sequences);
  file.set_attribute("/", kSequenceLength, shape.sequence_length);
  write_layers(file, shape, routing);
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
        read_layer(routing.sequences[static_cast<std::size_t>(m)],
                   shape_.layers[static_cast<std::size_t>(layer)],
                   part(routing.slots, begin, shape_.layer_slots()));
      }
    }
  }

 private:
  struct Place {
    std::size_t file;
    std::int64_t row;  // of sequences
  };

  void open(const std::filesystem::path& path) {
    auto& file = files_.emplace_back(storage::hdf5::File::open(path));
    require_equal(file, kBatchSequences, shape_.batch_sequences, "batch.sequences");
    require_equal(file, kSequenceLength, shape_.sequence_length, "data.sequence_length");
    const auto dataset = file.open_dataset(kSequences);
    std::vector<std::int64_t> sequences(static_cast<std::size_t>(dataset.elements()));
    dataset.read(0, std::span(sequences));
    for (std::int64_t row = 0; row < std::ssize(sequences); ++row) {
      const std::int64_t sequence = sequences[static_cast<std::size_t>(row)];
      if (sequence < 0 || sequence >= shape_.batch_sequences)
        throw damaged(file, fmt::format("sequence {} of {}", sequence, shape_.batch_sequences));
      if (!places_.emplace(sequence, Place{files_.size() - 1, row}).second)
        throw damaged(file, fmt::format("sequence {}, which is there a second time", sequence));
    }
    check_layers(file, std::ssize(sequences));
  }

  static void require_equal(const storage::hdf5::File& file, const char* attribute, std::int64_t expected,
                            std::string_view option) {
    const std::int64_t found = file.integer_attribute("/", attribute);
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
    std::vector<std::int64_t> taken(static_cast<std::size_t>(shape_.choices));
    for (std::int64_t i = 0; i < shape_.micro_batch; ++i) {
      const Place place = places_.at(first_sequence + i);
      const auto& file = files_[place.file];
      const auto rows = part(slots, i * shape_.sequence_slots(), shape_.sequence_slots());
      file.open_dataset(layer_dataset(layer)).read(place.row * shape_.sequence_slots(), rows);
      check(file, layer, rows, taken);
    }
  }

  // rows: [sequence_length, slots]; taken: tokens of each choice, added to
  void check(const storage::hdf5::File& file, std::int64_t layer, std::span<const std::int32_t> rows,
             std::vector<std::int64_t>& taken) const {
    const std::int64_t lowest = shape_.leaves_out ? -1 - shape_.choices : -1;
    for (const std::int32_t slot : rows) {
      if (slot < lowest || slot >= shape_.choices)
        throw damaged(file, fmt::format("expert {} of {} in layer {}", slot, shape_.choices, layer));
      if (slot >= 0 && ++taken[static_cast<std::size_t>(slot)] > shape_.most_tokens)
        throw damaged(file, fmt::format("expert {} more than {} times in a microbatch of layer {}", slot,
                                        shape_.most_tokens, layer));
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
  std::vector<storage::hdf5::File> files_;
  std::map<std::int64_t, Place> places_;  // by sequence
};

}  // namespace

RoutingShape::RoutingShape(const TrainingOptions& options)
    : batch_sequences(options.batch.sequences()),
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
  write_file(unfinished, shape, routing);
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
