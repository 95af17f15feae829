#include "conversion/gguf_export.h"

#include <algorithm>

#include "base/error.h"
#include "conversion/exported_model.h"
#include "conversion/gguf_architecture.h"
#include "conversion/gguf_tokenizer.h"
#include "conversion/tensor_map.h"
#include "conversion/tensor_values.h"
#include "data/tokenizer/tokenizer_json.h"
#include "storage/gguf/writer.h"

namespace troupe::conversion {
namespace {

namespace fs = std::filesystem;
using storage::gguf::Metadata;
using storage::gguf::ValueType;

/// What the architecture says of the model. kConfig for what it cannot say.
GgufFacts facts_of(const GgufArchitecture& architecture, const ExportedModel& exported) {
  const auto context = exported.config().at(exported.family().length_key).get<std::int64_t>();
  GgufFacts facts(architecture.family.model_type, exported.options(), exported.vocab_size(), context);
  for (const GgufFact& fact : architecture.facts) fact(facts);
  return facts;
}

/// In the order in which they are written.
std::vector<TheirTensor> tensors_of(const GgufArchitecture& architecture, const TensorMap& map, bool tied) {
  std::vector<TheirTensor> tensors = map.tensors();
  if (!tied || !architecture.needs_head) return tensors;
  TheirTensor head = *std::ranges::find(tensors, "token_embd.weight", &TheirTensor::name);
  head.name = "output.weight";
  tensors.push_back(std::move(head));
  return tensors;
}

ValueType type_of(const TheirTensor& tensor, ValueType type) {
  const bool is_router = tensor.name.find("ffn_gate_inp") != std::string::npos;
  const bool is_bias = tensor.name.ends_with(".bias");
  return tensor.shape.size() == 1 || is_router || is_bias ? ValueType::kF32 : type;
}

}  // namespace

ExportReport export_gguf(const ExportRequest& request) {
  ExportedModel exported(request);
  const GgufArchitecture& architecture = gguf_architecture(exported.family().model_type);
  const GgufFacts facts = facts_of(architecture, exported);
  if (request.tokenizer.empty())
    throw Error(ErrorCode::kConfig, "a GGUF file has its tokenizer in it, and the run's is gone");
  if (fs::exists(request.output))
    throw Error(ErrorCode::kConfig, "{} is there; say another --output", request.output.string());

  Metadata metadata = facts.metadata();
  for (auto& entry : gguf_tokenizer(data::read_tokenizer_json(request.tokenizer), exported.vocab_size()))
    metadata.push_back(std::move(entry));

  const TensorMap map(architecture.family, gguf_model(exported.options()), exported.vocab_size());
  const auto all = tensors_of(architecture, map, exported.options().tie_embeddings);
  std::vector<storage::gguf::Tensor> tensors;
  tensors.reserve(all.size() + 1);
  for (const TheirTensor& tensor : all)
    tensors.push_back({tensor.name, tensor.shape, type_of(tensor, request.type)});
  const std::vector<float>& divisors = facts.frequency_divisors();
  if (!divisors.empty()) tensors.push_back({"rope_freqs.weight", {std::ssize(divisors)}});
  storage::gguf::Writer writer(request.output, metadata, tensors);
  for (const TheirTensor& tensor : all) write_values(exported.reader(), tensor, writer);
  writer.write(divisors);
  writer.finish();
  ExportReport report = report_of(architecture.family.model_type, map);
  report.modules_left_out = exported.options().mtp.depth;
  return report;
}

}  // namespace troupe::conversion
