#pragma once
#include <cstdint>

#include "tensor/execution.h"
#include "tensor/ops/cached_attention/cached_attention.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Which sequence each token of a pass belongs to; its position there is the microbatch's. Whoever makes
/// passes changes it, and the caches of all layers see it.
struct CachedRows {
  ConstTensorView sequences = {};  // [rows] i32
};

/// A pass through a layer with a cache. A sequence's rows follow each other, by position.
struct CachedPass {
  ConstTensorView positions;      // [rows] i32
  ConstTensorView first_visible;  // [rows] i32, the first position that each sees
  ConstTensorView q;              // [rows, heads * key_dim]
  ConstTensorView first, second;  // [rows, *], what is kept of each, side by side
  ConstTensorView sinks = {};     // [heads], if any
};

/// What one layer keeps of every position: the keys and values of its heads or, of latent attention, the
/// rotated key and the latent that all heads share. Of mixers whose queries see a bounded number of positions
/// only so many, the newest, are kept. On the host.
class KeyValueCache {
 public:
  /// positions: that are kept of a sequence. width: numbers of one. `rows` must outlive it.
  KeyValueCache(std::int64_t sequences, std::int64_t positions, std::int64_t width, const CachedRows& rows);

  /// Keeps a pass's rows, and lets each attend to what it sees of its sequence. Of a position's numbers the
  /// keys are the first, the values the last; they may overlap.
  ///   shape: but for the capacity, which is the cache's; out: [rows, heads * value_dim]
  void attend(const Execution& execution, ops::CachedAttentionShape shape, const CachedPass& pass,
              TensorView out);

  [[nodiscard]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(sizeof(float)) * kept_.shape().elements();
  }

 private:
  [[nodiscard]] std::int64_t together(const CachedPass& pass, std::int64_t begin) const;
  void put(const CachedPass& pass, std::int64_t begin, std::int64_t count);

  std::int64_t sequences_;
  std::int64_t positions_;
  const CachedRows* rows_;
  Tensor kept_;  // [sequences * positions, width]; position p of a sequence at p % positions
};

}  // namespace troupe::model
