#include "conversion/gguf_export.h"

#include <algorithm>

#include "base/error.h"
#include "conversion/exported_model.h"
#include "conversion/gguf_names.h"
#include "conversion/gguf_tokenizer.h"
#include "conversion/tensor_map.h"
#include "conversion/tensor_values.h"
#include "data/tokenizer/tokenizer_json.h"
#include "model/layer_spec.h"
#include "storage/gguf/writer.h"

namespace troupe::conversion {
namespace {

namespace fs = std::filesystem;
using storage::gguf::Metadata;
using storage::gguf::ValueType;

[[noreturn]] void refuse(const GgufArchitecture& architecture, const std::string& what) {
  throw Error(ErrorCode::kConfig, "GGUF's architecture {} cannot say {}; `--format hf` may",
              architecture.family.model_type, what);
}

/// What llama.cpp computes whatever a file says.
void require_computed(const GgufArchitecture& architecture, const model::ModelOptions& model) {
  for (const model::AttentionOptions& mixer : model::layer_mixers(model)) {
    if (mixer.window > 0 || mixer.chunk > 0) refuse(architecture, "model.attention.window or chunk");
    if (architecture.needs_all_keys && mixer.kv_heads != mixer.heads)
      refuse(architecture, "fewer model.attention.kv_heads than heads");
    if (mixer.rope.scaling.kind != model::RopeScalingKind::kNone)
      refuse(architecture, "model.attention.rope.scaling");
  }
  if (!architecture.has_experts) return;
  if (!architecture.dense_first && model::moe_layers(model) != model.layers)
    refuse(architecture, "layers without experts");
  if (architecture.normalizes && model.moe.router.normalize_weights != *architecture.normalizes)
    refuse(architecture,
           fmt::format("model.moe.router.normalize_weights: {}", model.moe.router.normalize_weights));
}

/// Keys of config.json as keys of the file.
Metadata hyperparameters(const GgufArchitecture& architecture, const ordered_json& config) {
  const std::string& name = architecture.family.model_type;
  Metadata metadata{{"general.architecture", name}};
  const auto integer = [&](const char* theirs, const char* key) {
    const auto found = config.find(key);
    if (found != config.end() && found->is_number_integer())
      metadata.emplace_back(name + "." + theirs, found->get<std::uint32_t>());
  };
  integer("vocab_size", "vocab_size");
  integer("context_length", "max_position_embeddings");
  integer("embedding_length", "hidden_size");
  integer("block_count", "num_hidden_layers");
  integer("feed_forward_length", "intermediate_size");
  integer("expert_feed_forward_length", "moe_intermediate_size");
  integer("attention.head_count", "num_attention_heads");
  integer("attention.head_count_kv", "num_key_value_heads");
  integer("attention.key_length", "head_dim");
  integer("attention.value_length", "head_dim");
  integer("rope.dimension_count", "head_dim");
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (!config.contains(key)) continue;
    integer("expert_count", key);
    break;
  }
  integer("expert_used_count", "num_experts_per_tok");
  if (architecture.dense_first) {
    constexpr std::uint32_t kSigmoid = 2;  // llama.cpp's number of it
    integer("leading_dense_block_count", "first_k_dense_replace");
    integer("expert_shared_count", "n_shared_experts");
    metadata.emplace_back(name + ".expert_weights_scale", config.at("routed_scaling_factor").get<float>());
    metadata.emplace_back(name + ".expert_weights_norm", config.at("norm_topk_prob").get<bool>());
    metadata.emplace_back(name + ".expert_gating_func", kSigmoid);
  }
  metadata.emplace_back(name + ".attention.layer_norm_rms_epsilon", config.at("rms_norm_eps").get<float>());
  return metadata;
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
  return tensor.shape.size() == 1 || is_router ? ValueType::kF32 : type;
}

}  // namespace

ExportReport export_gguf(const ExportRequest& request) {
  ExportedModel exported(request);
  const GgufArchitecture& architecture = gguf_architecture(exported.family().model_type);
  require_computed(architecture, exported.options());
  if (request.tokenizer.empty())
    throw Error(ErrorCode::kConfig, "a GGUF file has its tokenizer in it, and the run's is gone");
  if (fs::exists(request.output))
    throw Error(ErrorCode::kConfig, "{} is there; say another --output", request.output.string());

  Metadata metadata = hyperparameters(architecture, exported.config());
  const double theta = model::layer_mixers(exported.options()).front().rope.theta;
  metadata.emplace_back(architecture.family.model_type + ".rope.freq_base", static_cast<float>(theta));
  for (auto& entry : gguf_tokenizer(data::read_tokenizer_json(request.tokenizer), exported.vocab_size()))
    metadata.push_back(std::move(entry));

  const TensorMap map(architecture.family, exported.options(), exported.vocab_size());
  const auto all = tensors_of(architecture, map, exported.options().tie_embeddings);
  std::vector<storage::gguf::Tensor> tensors;
  tensors.reserve(all.size());
  for (const TheirTensor& tensor : all)
    tensors.push_back({tensor.name, tensor.shape, type_of(tensor, request.type)});
  storage::gguf::Writer writer(request.output, metadata, tensors);
  for (const TheirTensor& tensor : all) write_values(exported.reader(), tensor, writer);
  writer.finish();
  return report_of(architecture.family.model_type, map);
}

}  // namespace troupe::conversion
