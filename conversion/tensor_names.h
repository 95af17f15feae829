#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace troupe::conversion {

/// Which rows of one of our parameters a tensor of theirs has.
enum class Rows : std::uint8_t {
  kAll,
  kHalf,      // gate or up
  kQuery,     // heads * head_dim
  kKeyValue,  // kv_heads * head_dim
  // Of latent attention, all rows, which lie in another order there: a head's rotated channels last,
  kLatentQuery,
  kLatentDown,  // the latent before the shared key,
  kLatentUp,    // and a head's values behind its keys.
  // As kQuery and kKeyValue, with the two channels that are rotated together beside each other.
  kQueryPairs,
  kKeyPairs,
};

/// A tensor that has rows of one of our parameters.
struct NamedPart {
  std::string name;  // {l}: the layer, {e}: the expert; without {e}, an expert's is stacked: [experts, …]
  Rows rows = Rows::kAll;
  bool transposed = false;  // [in, out]
  std::int64_t step = 1;    // its outputs lie so far apart, those of other parts between them,
  std::int64_t first = 0;   // and begin here
  float added = 0.0F;       // to every value there
};

/// Our parameters, by their names without the layer's prefix, as tensors that follow each other by rows.
struct TensorNames {
  std::map<std::string, std::vector<NamedPart>> parts;
  std::string router_bias;  // of experts' choice, [experts]; empty: the family has none
  /// Our parameters that every module of multi-token prediction has once more.
  std::map<std::string, std::string> repeated;
};

/// Those of Llama, which others follow: projections apart, experts one tensor each in the folder `mlp`.
[[nodiscard]] TensorNames llama_names(const std::string& mlp = "mlp");
/// Of a model that begins with these names, in other places or with other names.
[[nodiscard]] TensorNames replaced(TensorNames names,
                                   const std::map<std::string, std::vector<NamedPart>>& by);

}  // namespace troupe::conversion
