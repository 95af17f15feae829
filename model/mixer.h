#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "layers/declaration.h"
#include "layers/pass.h"
#include "model/generation/key_value_cache.h"
#include "model/key_spans.h"
#include "model/layer_spec.h"
#include "model/rope_tables.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// What the mixers of a model share; all must outlive them.
struct MixerContext {
  std::int64_t sequence_length;
  RopeTables& rope;
  const KeySpans& spans;
  const ParameterTable& table;  // of dense parameters
};

/// The part of a block that moves information between the tokens of a sequence. One class for each kind,
/// whose declare() is beside its forward. Its parameters begin with layer.prefix + "attention/".
class Mixer {
 public:
  /// What forward keeps for backward.
  struct Saved {
    Saved() = default;
    Saved(const Saved&) = delete;
    Saved& operator=(const Saved&) = delete;
    virtual ~Saved() = default;

    /// Of sequences that are written on: what tokens need of those before them is kept there. A pass then has
    /// single tokens, the cache says of which sequences; no backward.
    std::optional<KeyValueCache> cache;
  };

  virtual ~Mixer() = default;

  /// One for every microbatch that is held; forward() overwrites it.
  [[nodiscard]] virtual std::unique_ptr<Saved> make_saved() const = 0;

  /// x, y: [tokens, hidden]; y overwritten. saved: of this mixer's make_saved()
  virtual void forward(const Pass& pass, ConstTensorView x, Saved& saved, TensorView y) const = 0;
  /// dx: [tokens, hidden], overwritten, as are the parameters' gradients.
  virtual void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                        TensorView dx) const = 0;
};

/// What a layer's attention drops in a pass: nothing unless it trains.
[[nodiscard]] ops::AttentionDropout attention_dropout(const Pass& pass, double rate, std::int64_t layer);

[[nodiscard]] std::unique_ptr<Mixer> make_mixer(const LayerSpec& layer, const MixerContext& context);
void declare_mixer(layers::Declaration& declaration, const LayerSpec& layer, std::int64_t hidden_size);

}  // namespace troupe::model
