#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace troupe::model {

/// Of what is kept of sequences that are written on.
struct CacheShape {
  std::int64_t sequences = 0;
  std::int64_t capacity = 0;  // positions of each
};

/// Which sequence each token of a pass belongs to; its position there is the microbatch's. Whoever makes
/// passes changes it, and the caches of all layers see it.
struct CachedRows {
  ConstTensorView sequences = {};  // [rows] i32
};

/// Keys and values of one layer, of every position that was computed. On the host.
class KeyValueCache {
 public:
  /// Widths of a position's keys and values, of all heads. `rows` must outlive it.
  KeyValueCache(const CacheShape& shape, const CachedRows& rows, std::int64_t key_width,
                std::int64_t value_width);

  [[nodiscard]] std::int64_t capacity() const { return shape_.capacity; }
  [[nodiscard]] ConstTensorView sequences() const { return rows_->sequences; }
  /// [sequences * capacity, width]; position p of sequence s is row s * capacity + p.
  [[nodiscard]] ConstTensorView keys() const { return keys_; }
  [[nodiscard]] ConstTensorView values() const { return values_; }

  [[nodiscard]] std::int64_t bytes_per_token() const {
    return static_cast<std::int64_t>(sizeof(float)) * (keys_.shape()[1] + values_.shape()[1]);
  }

  /// Puts a pass's rows in their places. positions: [rows] i32; keys, values: [rows, width]
  void put(ConstTensorView positions, ConstTensorView keys, ConstTensorView values);

 private:
  CacheShape shape_;
  const CachedRows* rows_;
  Tensor keys_;
  Tensor values_;
};

}  // namespace troupe::model
