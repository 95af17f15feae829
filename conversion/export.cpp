#include "conversion/export.h"

#include "base/error.h"
#include "base/file.h"
#include "conversion/exported_model.h"
#include "conversion/tensor_map.h"
#include "conversion/tensor_values.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::conversion {
namespace {

namespace fs = std::filesystem;
using storage::safetensors::FolderWriter;

constexpr std::size_t kMaximumTokenizerBytes = std::size_t{64} << 20;

void add_token_ids(const fs::path& file, ordered_json& config) {
  const data::Tokenizer tokenizer = data::read_tokenizer_json(file);
  config["bos_token_id"] = tokenizer.document_start();
  config["eos_token_id"] = tokenizer.end_of_text();
}

}  // namespace

ExportReport export_model(const ExportRequest& request) {
  ExportedModel exported(request);
  const TensorMap map(exported.family(), exported.options(), exported.vocab_size());
  if (fs::exists(request.output) && !fs::is_empty(request.output))
    throw Error(ErrorCode::kConfig, "{} is there and not empty; say another --output",
                request.output.string());
  ordered_json config = exported.config();
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
    config[key] = nullptr;  // else some classes have ids of other vocabularies
  if (!request.tokenizer.empty()) add_token_ids(request.tokenizer, config);
  config["dtype"] = request.type == storage::safetensors::ValueType::kBf16 ? "bfloat16" : "float32";
  config["torch_dtype"] = config["dtype"];

  std::vector<FolderWriter::Tensor> tensors;
  for (const TheirTensor& tensor : map.tensors()) tensors.push_back({tensor.name, tensor.shape});
  FolderWriter writer(request.output, tensors, request.type, request.shard_bytes);
  for (const TheirTensor& tensor : map.tensors()) write_values(exported.reader(), tensor, writer);
  writer.finish();
  if (!request.tokenizer.empty()) {
    write_file_atomically(request.output / data::kTokenizerFile,
                          read_file(request.tokenizer, kMaximumTokenizerBytes));
  }
  write_file_atomically(request.output / "config.json", config.dump(2) + "\n");
  return report_of(exported.family().model_type, map);
}

}  // namespace troupe::conversion
