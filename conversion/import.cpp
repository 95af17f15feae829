#include "conversion/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <list>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "configs/load.h"
#include "conversion/folder_reader.h"
#include "conversion/model_config.h"
#include "conversion/tensor_map.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"
#include "model/cost.h"
#include "storage/checkpoint_store.h"
#include "storage/safetensors/folder.h"
#include "storage/shard.h"

namespace troupe::conversion {
namespace {

namespace fs = std::filesystem;
using storage::safetensors::Folder;
using storage::safetensors::TensorInfo;

constexpr const char* kTrainFile = "train.yaml";
constexpr std::size_t kMaximumTokenizerBytes = std::size_t{64} << 20;

/// transformers has no modules of multi-token prediction, and writes folders without them. Returns how many
/// are not there.
std::int64_t leave_out_modules(const Folder& folder, model::ModelOptions& model) {
  const std::int64_t modules = model.mtp.depth;
  const std::string first = fmt::format("model.layers.{}.eh_proj.weight", model.layers);
  if (modules == 0 || folder.find(first) != nullptr) return 0;
  model.mtp = {};
  return modules;
}

/// Whether it is called as one of a layer behind the model's last one.
bool is_of_later_layer(const std::string& name, std::int64_t layers) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return false;
  std::int64_t layer = -1;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return layer >= layers;
}

/// Tensors that a file may have beside the model's: what older versions kept of rotary tables and masks, a
/// head that is the embedding, and layers that predict further tokens.
bool may_be_left_out(const std::string& name, const model::ModelOptions& model) {
  if (name.ends_with("rotary_emb.inv_freq") || name.ends_with("attn.masked_bias")) return true;
  if (name == "lm_head.weight" && model.tie_embeddings) return true;
  return is_of_later_layer(name, model.layers + model.mtp.depth);
}

/// What is in the folder against what the model needs. Returns what is left out.
std::vector<std::string> compare_tensors(const Folder& folder, const TensorMap& map,
                                         const model::ModelOptions& model) {
  std::vector<std::string> problems;
  std::vector<std::string> left_out;
  std::set<std::string> needed;
  for (const TheirTensor& tensor : map.tensors()) {
    needed.insert(tensor.name);
    const TensorInfo* info = folder.find(tensor.name);
    if (info == nullptr && tensor.repeats) continue;
    if (tensor.repeats) left_out.push_back(tensor.name);
    if (info == nullptr) {
      problems.push_back(fmt::format("'{}' is missing", tensor.name));
    } else if (info->shape != tensor.shape) {
      problems.push_back(fmt::format("'{}' is {}, expected {}", tensor.name,
                                     storage::safetensors::shape_text(info->shape),
                                     storage::safetensors::shape_text(tensor.shape)));
    }
  }
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
      : folder_(std::move(folder)), piece_bytes_(std::max<std::int64_t>(piece_bytes, 8)) {}

  /// A whole tensor, in as many pieces as it takes.
  void add(storage::TensorReader& reader, const storage::TensorEntry& tensor) {
    if (tensor.type == storage::ElementType::kF32) return add_values<float>(reader, tensor);
    add_values<std::int64_t>(reader, tensor);
  }

  std::vector<storage::ShardDescription> finish() {
    if (!shards_.empty()) write();
    return std::move(written_);
  }

 private:
  template <storage::Element T>
  void add_values(storage::TensorReader& reader, const storage::TensorEntry& tensor) {
    const std::int64_t all = tensor.shape.elements();
    for (std::int64_t begin = 0; begin < all;) {
      if (held_ >= piece_bytes_) write();
      const std::int64_t room = std::max<std::int64_t>(1, (piece_bytes_ - held_) / size_of<T>());
      std::vector<T>& values = held<T>().emplace_back(at(std::min(room, all - begin)));
      reader.read(tensor.name, begin, std::span<T>(values));
      shards_.emplace_back(tensor.name, tensor.shape, begin, std::span<const T>(values));
      begin += std::ssize(values);
      held_ += std::ssize(values) * size_of<T>();
    }
  }

  template <class T>
  static constexpr std::int64_t size_of() {
    return static_cast<std::int64_t>(sizeof(T));
  }

  template <class T>
  auto& held() {
    if constexpr (std::is_same_v<T, float>) {
      return values_;
    } else {
      return integers_;
    }
  }

  void write() {
    written_.push_back(storage::write_shard_file(folder_, std::ssize(written_), shards_));
    shards_.clear();
    values_.clear();
    integers_.clear();
    held_ = 0;
  }

  fs::path folder_;
  std::int64_t piece_bytes_;
  std::int64_t held_ = 0;  // bytes
  std::list<std::vector<float>> values_;
  std::list<std::vector<std::int64_t>> integers_;
  std::vector<storage::TensorShard> shards_;
  std::vector<storage::ShardDescription> written_;
};

void require_new(const fs::path& output) {
  if (!fs::exists(output) || fs::is_empty(output)) return;
  throw Error(ErrorCode::kConfig, "{} is there and not empty; say another --output", output.string());
}

/// Of the folder's tokenizer; empty: it has none.
std::string tokenizer_hash(const fs::path& folder) {
  const fs::path file = folder / data::kTokenizerFile;
  return fs::exists(file) ? data::read_tokenizer_json(file).hash() : std::string();
}

/// A folder whose tensors were compared with what its config.json says.
struct ReadFolder {
  ReadConfig config;
  std::unique_ptr<FolderReader> reader;
  std::vector<std::string> left_out;
  std::int64_t absent_modules = 0;
};

/// corpus: in the reader's configuration
ReadFolder read_folder(const fs::path& path, std::int64_t sequence_length, const fs::path& corpus) {
  ReadFolder read;
  read.config = read_config(path / "config.json", sequence_length);
  read.config.run.data.corpus = fs::absolute(corpus).lexically_normal().string();
  Folder folder(path);
  read.absent_modules = leave_out_modules(folder, read.config.run.model);
  const model::ModelOptions& model = read.config.run.model;
  TensorMap map(*read.config.family, model, *model.vocab_size);
  read.left_out = compare_tensors(folder, map, model);
  read.reader =
      std::make_unique<FolderReader>(read.config, std::move(folder), std::move(map), tokenizer_hash(path));
  return read;
}

}  // namespace

bool is_model_folder(const fs::path& path) { return fs::exists(path / "config.json"); }

std::unique_ptr<storage::TensorReader> open_model_folder(const fs::path& path) {
  return std::move(read_folder(path, 0, path).reader);
}

ImportReport import_model(const ImportRequest& request) {
  const fs::path corpus = request.output / "corpus";
  ReadFolder read = read_folder(request.folder, request.sequence_length, corpus);
  storage::TensorReader& reader = *read.reader;
  ImportReport report;
  report.model_type = read.config.family->model_type;
  report.left_out = read.left_out;
  report.absent_modules = read.absent_modules;
  report.config = read.config.run;
  report.has_tokenizer = !reader.manifest().metadata.tokenizer_hash.empty();
  report.parameters = model::count_parameters(report.config.model, *report.config.model.vocab_size).total;
  require_new(request.output);
  try {
    storage::make_folders(corpus);
    if (report.has_tokenizer) {
      write_file_atomically(corpus / data::kTokenizerFile,
                            read_file(request.folder / data::kTokenizerFile, kMaximumTokenizerBytes));
    }
    storage::CheckpointStore store(request.output / storage::kCheckpointsFolder);
    PieceWriter writer(store.temporary_folder(0, 0), request.piece_bytes);
    for (const storage::TensorEntry& tensor : reader.tensors()) writer.add(reader, tensor);
    const auto shards = writer.finish();
    storage::CheckpointMetadata metadata = reader.manifest().metadata;
    metadata.workers = std::ssize(shards);
    const fs::path checkpoint = store.commit(metadata, shards);
    report.config.init_from.checkpoint = fs::absolute(checkpoint).lexically_normal().string();
    write_file_atomically(request.output / kTrainFile, configs::dump(report.config));
  } catch (const Error&) {
    storage::remove_tree(request.output);
    throw;
  }
  return report;
}

}  // namespace troupe::conversion
