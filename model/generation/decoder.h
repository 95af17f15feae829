#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/block.h"
#include "model/generation/key_value_cache.h"
#include "model/head.h"
#include "model/key_spans.h"
#include "model/model.h"

namespace troupe::model {

/// Of what is kept of sequences that are written on.
struct CacheShape {
  std::int64_t sequences = 0;
  std::int64_t capacity = 0;  // positions of each
};

/// A token that a sequence goes on with.
struct NextToken {
  std::int32_t token = 0;
  std::int32_t sequence = 0;  // of the cache
  std::int32_t position = 0;  // there; all before it were decoded
};

/// The forward pass of a model for writing: what layers need of earlier tokens is kept, so that a token costs
/// what it does alone, and attention to those before it. Only real tokens go through the layers: nothing else
/// is routed. Uses a model's weights, and memory of its own; on the host.
/// Collective over the model's expert group, as Transformer is: every rank decodes as many times, with no
/// tokens where it has none. Used from the compute thread. Not after experts were placed anew.
class Decoder {
 public:
  /// `most_tokens` are decoded at once at most. The model must outlive it.
  Decoder(Model& model, const CacheShape& shape, std::int64_t most_tokens);
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  [[nodiscard]] std::int64_t most_tokens() const { return most_tokens_; }
  [[nodiscard]] const CacheShape& shape() const { return shape_; }

  /// Decodes the tokens, and computes what follows some of them.
  ///   wanted: indices of tokens; logits: [wanted, vocab]
  void decode(std::span<const NextToken> tokens, std::span<const std::int64_t> wanted,
              std::span<float> logits);

  /// Of the caches of all layers.
  [[nodiscard]] std::int64_t cache_bytes() const;

 private:
  [[nodiscard]] MicrobatchInput input_of(std::span<const NextToken> tokens);
  [[nodiscard]] ConstTensorView through_blocks(const Pass& pass, const StepContext& step);

  Model& model_;
  CacheShape shape_;
  std::int64_t most_tokens_;
  experts::ModelExpertGroup group_;
  std::unique_ptr<experts::Exchange> exchange_;
  Arena arena_;
  RopeTables rope_;
  KeySpans spans_;
  layers::Embedding embedding_;
  layers::NormLayer final_norm_;
  Head head_;
  std::vector<Block> blocks_;
  CachedRows rows_;
  std::vector<Block::Saved> caches_;  // of the blocks
  MicrobatchResult ignored_;
  std::vector<std::int32_t> integers_;  // of the pass: tokens, sequences, positions, first positions, spans
  std::vector<ConstTensorView> span_views_;
};

}  // namespace troupe::model
