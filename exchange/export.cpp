#include "exchange/export.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "configs/load.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"
#include "exchange/model_config.h"
#include "exchange/tensor_map.h"
#include "model/layer_spec.h"
#include "storage/checkpoint_reader.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::exchange {
namespace {

namespace fs = std::filesystem;
using storage::safetensors::FolderWriter;

constexpr std::int64_t kPieceValues = std::int64_t{1} << 22;
constexpr std::size_t kMaximumTokenizerBytes = std::size_t{64} << 20;

/// Whether the values of their tensor are some of ours, one after another.
bool is_copy(const TheirTensor& tensor) {
  const Slice& slice = tensor.sources.front().slice;
  const bool in_order = slice.column_stride == 1 && (slice.rows <= 1 || slice.row_stride == slice.columns);
  return tensor.sources.size() == 1 && slice.begin == 0 && in_order;
}

void copy(storage::CheckpointReader& reader, const TheirTensor& tensor, FolderWriter& writer) {
  const TheirTensor::Source& source = tensor.sources.front();
  const std::int64_t count = source.slice.elements();
  std::vector<float> values;
  for (std::int64_t done = 0; done < count; done += std::ssize(values)) {
    values.resize(at(std::min(kPieceValues, count - done)));
    reader.read(source.ours, source.begin + done, std::span(values));
    writer.write(values);
  }
}

void rearrange(storage::CheckpointReader& reader, const TheirTensor& tensor, FolderWriter& writer) {
  std::int64_t count = 1;
  for (const std::int64_t size : tensor.shape) count *= size;
  std::vector<float> values(at(count));
  std::vector<float> ours;
  for (const TheirTensor::Source& source : tensor.sources) {
    const Slice& slice = source.slice;
    ours.resize(at(slice.elements()));
    reader.read(source.ours, source.begin, std::span(ours));
    std::size_t next = 0;
    for (std::int64_t row = 0; row < slice.rows; ++row) {
      for (std::int64_t column = 0; column < slice.columns; ++column)
        values[at(slice.begin + row * slice.row_stride + column * slice.column_stride)] = ours[next++];
    }
  }
  writer.write(values);
}

/// A family without a bias that experts are chosen with can only say one of zeros.
void require_no_bias(storage::CheckpointReader& reader, const Family& family,
                     const model::ModelOptions& model) {
  if (!family.names.router_bias.empty()) return;
  for (std::int64_t layer = 0; layer < model::moe_layers(model); ++layer) {
    const std::string name = workers::balancer_name(model, at(layer));
    std::vector<float> bias(at(model.moe.experts));
    reader.read(name, 0, std::span(bias));
    if (std::ranges::all_of(bias, [](float value) { return value == 0.0F; })) continue;
    throw Error(
        ErrorCode::kConfig,
        "{}: {} is not 0, and a model of type '{}' has no bias that experts are chosen with; train with "
        "model.moe.balancer.kind = none for it",
        reader.folder().string(), name, family.model_type);
  }
}

void add_token_ids(const fs::path& file, ordered_json& config) {
  const data::Tokenizer tokenizer = data::read_tokenizer_json(file);
  config["bos_token_id"] = tokenizer.document_start();
  config["eos_token_id"] = tokenizer.end_of_text();
}

}  // namespace

ExportReport export_model(const ExportRequest& request) {
  storage::CheckpointReader reader(request.checkpoint);
  const configs::RunConfig run =
      configs::parse_record(reader.manifest().metadata.config, reader.folder().string());
  const std::int64_t vocab_size = reader.tensor("embedding/weight").shape[0];
  const Family& family =
      request.model_type.empty() ? family_for(run.model, vocab_size) : family_named(request.model_type);
  ordered_json config = write_config(family, run.model, vocab_size, run.data.sequence_length);
  const TensorMap map(family, run.model, vocab_size);
  require_no_bias(reader, family, run.model);
  if (fs::exists(request.output) && !fs::is_empty(request.output))
    throw Error(ErrorCode::kConfig, "{} is there and not empty; say another --output",
                request.output.string());
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
    config[key] = nullptr;  // else some classes have ids of other vocabularies
  if (!request.tokenizer.empty()) add_token_ids(request.tokenizer, config);
  config["dtype"] = request.type == storage::safetensors::ValueType::kBf16 ? "bfloat16" : "float32";
  config["torch_dtype"] = config["dtype"];

  std::vector<FolderWriter::Tensor> tensors;
  for (const TheirTensor& tensor : map.tensors()) tensors.push_back({tensor.name, tensor.shape});
  FolderWriter writer(request.output, tensors, request.type, request.shard_bytes);
  for (const TheirTensor& tensor : map.tensors()) {
    if (is_copy(tensor)) {
      copy(reader, tensor, writer);
    } else {
      rearrange(reader, tensor, writer);
    }
  }
  writer.finish();
  if (!request.tokenizer.empty()) {
    write_file_atomically(request.output / data::kTokenizerFile,
                          read_file(request.tokenizer, kMaximumTokenizerBytes));
  }
  write_file_atomically(request.output / "config.json", config.dump(2) + "\n");
  ExportReport report{.model_type = family.model_type};
  for (const ParameterSpec& spec : map.parameters()) report.parameters += spec.elements();
  return report;
}

}  // namespace troupe::exchange
