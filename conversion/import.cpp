#include "conversion/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <list>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "configs/load.h"
#include "conversion/model_config.h"
#include "conversion/tensor_map.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"
#include "model/layer_spec.h"
#include "storage/checkpoint_store.h"
#include "storage/safetensors/folder.h"
#include "storage/shard.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::conversion {
namespace {

namespace fs = std::filesystem;
using storage::safetensors::Folder;
using storage::safetensors::TensorInfo;

constexpr const char* kTrainFile = "train.yaml";
constexpr std::size_t kMaximumTokenizerBytes = std::size_t{64} << 20;

/// Tensors that a file may have beside the model's: what older versions kept of rotary tables and masks, a
/// head that is the embedding, and layers that predict further tokens.
bool may_be_left_out(const std::string& name, const model::ModelOptions& model) {
  if (name.ends_with("rotary_emb.inv_freq") || name.ends_with("attn.masked_bias")) return true;
  if (name == "lm_head.weight" && model.tie_embeddings) return true;
  const std::string beyond = fmt::format("model.layers.{}.", model.layers);
  return name.starts_with(beyond);
}

/// What is in the folder against what the model needs. Returns what is left out.
std::vector<std::string> compare_tensors(const Folder& folder, const TensorMap& map,
                                         const model::ModelOptions& model) {
  std::vector<std::string> problems;
  std::set<std::string> needed;
  for (const TheirTensor& tensor : map.tensors()) {
    needed.insert(tensor.name);
    const TensorInfo* info = folder.find(tensor.name);
    if (info == nullptr) {
      problems.push_back(fmt::format("'{}' is missing", tensor.name));
    } else if (info->shape != tensor.shape) {
      problems.push_back(fmt::format("'{}' is {}, expected {}", tensor.name,
                                     storage::safetensors::shape_text(info->shape),
                                     storage::safetensors::shape_text(tensor.shape)));
    }
  }
  std::vector<std::string> left_out;
  for (const std::string& name : folder.names()) {
    if (needed.contains(name)) continue;
    if (may_be_left_out(name, model)) {
      left_out.push_back(name);
    } else {
      problems.push_back(fmt::format("'{}' is unknown", name));
    }
  }
  if (problems.empty()) return left_out;
  throw Error(ErrorCode::kCorrupt, "{}: its tensors are not those of its config.json:\n  {}",
              folder.path().string(), fmt::join(problems, "\n  "));
}

/// Writes a checkpoint's tensors in files of bounded size, as that many workers would.
class PieceWriter {
 public:
  PieceWriter(fs::path folder, std::int64_t piece_bytes)
      : folder_(std::move(folder)), piece_values_(piece_bytes / static_cast<std::int64_t>(sizeof(float))) {}

  /// Values of a global tensor from `begin` on, which fill() gives.
  template <class Fill>
  void add(const std::string& name, const Shape& shape, std::int64_t begin, std::int64_t count,
           const Fill& fill) {
    if (held_ > 0 && held_ + count > piece_values_) write();
    std::vector<float>& values = values_.emplace_back(at(count));
    fill(std::span(values));
    shards_.emplace_back(name, shape, begin, std::span<const float>(values));
    held_ += count;
  }

  /// Rows that are added at once.
  [[nodiscard]] std::int64_t rows_of(std::int64_t columns) const {
    return std::max<std::int64_t>(1, piece_values_ / columns);
  }

  /// What is small and not weights; written with the next file.
  void add_integers(const std::string& name, const Shape& shape, const std::vector<std::int64_t>& values) {
    shards_.emplace_back(name, shape, 0, std::span<const std::int64_t>(integers_.emplace_back(values)));
  }

  std::vector<storage::ShardDescription> finish() {
    if (!shards_.empty()) write();
    return std::move(written_);
  }

 private:
  void write() {
    written_.push_back(storage::write_shard_file(folder_, std::ssize(written_), shards_));
    shards_.clear();
    values_.clear();
    held_ = 0;
  }

  fs::path folder_;
  std::int64_t piece_values_;
  std::int64_t held_ = 0;
  std::vector<std::vector<float>> values_;
  std::list<std::vector<std::int64_t>> integers_;
  std::vector<storage::TensorShard> shards_;
  std::vector<storage::ShardDescription> written_;
};

void add_parameter(const Folder& folder, const TensorMap& map, const ParameterSpec& spec,
                   PieceWriter& writer) {
  std::int64_t begin = spec.global_begin();
  for (const Part& part : map.parts(spec)) {
    const Slice& all = part.slice;
    const std::int64_t most = writer.rows_of(all.columns);
    for (std::int64_t row = 0; row < all.rows; row += most) {
      Slice some = all;
      some.begin += row * all.row_stride;
      some.rows = std::min(most, all.rows - row);
      writer.add(spec.name, spec.global_shape(), begin, some.elements(),
                 [&](std::span<float> values) { folder.read(part.theirs, some, values); });
      begin += some.elements();
    }
  }
}

/// What a checkpoint has of balancing and counting.
void add_state(const Folder& folder, const TensorMap& map, const model::ModelOptions& model,
               PieceWriter& writer) {
  const std::int64_t layers = model::moe_layers(model);
  const std::int64_t experts = model.moe.experts;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::string theirs = map.router_bias(layer);
    writer.add(workers::balancer_name(model, at(layer)), Shape{1, experts}, 0, experts,
               [&](std::span<float> bias) {
                 if (!theirs.empty()) folder.read(theirs, {.columns = experts}, bias);
               });
  }
  writer.add_integers("training/counters", Shape{4}, std::vector<std::int64_t>(4));
  if (layers == 0) return;
  const Shape counts{layers, model.moe.choices()};
  for (const char* name : {workers::kPreviousCounts, workers::kPreviousUnbiasedCounts})
    writer.add_integers(name, counts, std::vector<std::int64_t>(at(counts.elements())));
}

void require_new(const fs::path& output) {
  if (!fs::exists(output) || fs::is_empty(output)) return;
  throw Error(ErrorCode::kConfig, "{} is there and not empty; say another --output", output.string());
}

/// The tokenizer's hash, and its file where the run's checkpoints look for it.
std::string import_tokenizer(const fs::path& folder, const fs::path& corpus) {
  const fs::path file = folder / data::kTokenizerFile;
  if (!fs::exists(file)) return "";
  const data::Tokenizer tokenizer = data::read_tokenizer_json(file);
  write_file_atomically(corpus / data::kTokenizerFile, read_file(file, kMaximumTokenizerBytes));
  return tokenizer.hash();
}

}  // namespace

ImportReport import_model(const ImportRequest& request) {
  ReadConfig read = read_config(request.folder / "config.json", request.sequence_length);
  const Folder folder(request.folder);
  const model::ModelOptions& model = read.run.model;
  const TensorMap map(*read.family, model, *model.vocab_size);
  ImportReport report;
  report.model_type = read.family->model_type;
  report.left_out = compare_tensors(folder, map, model);
  require_new(request.output);
  const fs::path corpus = fs::absolute(request.output).lexically_normal() / "corpus";
  read.run.data.corpus = corpus.string();
  try {
    storage::make_folders(corpus);
    storage::CheckpointMetadata metadata;
    metadata.tokenizer_hash = import_tokenizer(request.folder, corpus);
    metadata.config = configs::dump(read.run);
    storage::CheckpointStore store(request.output / storage::kCheckpointsFolder);
    PieceWriter writer(store.temporary_folder(0, 0), request.piece_bytes);
    for (const ParameterSpec& spec : map.parameters()) {
      add_parameter(folder, map, spec, writer);
      report.parameters += spec.elements();
    }
    add_state(folder, map, model, writer);
    const auto shards = writer.finish();
    metadata.workers = std::ssize(shards);
    const fs::path checkpoint = store.commit(metadata, shards);
    report.has_tokenizer = !metadata.tokenizer_hash.empty();
    read.run.init_from.checkpoint = fs::absolute(checkpoint).lexically_normal().string();
    write_file_atomically(request.output / kTrainFile, configs::dump(read.run));
  } catch (const Error&) {
    storage::remove_tree(request.output);
    throw;
  }
  report.config = read.run;
  return report;
}

}  // namespace troupe::conversion
