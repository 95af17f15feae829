#include "model/generation/key_value_cache.h"

#include <algorithm>

#include "base/error.h"

namespace troupe::model {

KeyValueCache::KeyValueCache(const CacheShape& shape, const CachedRows& rows, std::int64_t key_width,
                             std::int64_t value_width)
    : shape_(shape),
      rows_(&rows),
      keys_({shape.sequences * shape.capacity, key_width}),
      values_({shape.sequences * shape.capacity, value_width}) {}

void KeyValueCache::put(ConstTensorView positions, ConstTensorView keys, ConstTensorView values) {
  TROUPE_CHECK(positions.elements() == keys.rows() && sequences().elements() == keys.rows() &&
                   keys.columns() == keys_.shape()[1] && values.columns() == values_.shape()[1],
               "a cache of {} and {} gets {} and {}", keys_.shape().to_string(), values_.shape().to_string(),
               keys.shape().to_string(), values.shape().to_string());
  for (std::int64_t row = 0; row < keys.rows(); ++row) {
    const std::int64_t sequence = sequences().i32()[row];
    const std::int64_t position = positions.i32()[row];
    TROUPE_CHECK(sequence >= 0 && sequence < shape_.sequences && position >= 0 && position < shape_.capacity,
                 "position {} of sequence {} in a cache of {} of {}", position, sequence, shape_.sequences,
                 shape_.capacity);
    const std::int64_t place = sequence * shape_.capacity + position;
    std::copy_n(keys.f32() + row * keys.row_stride(), keys.columns(), keys_.f32() + place * keys.columns());
    std::copy_n(values.f32() + row * values.row_stride(), values.columns(),
                values_.f32() + place * values.columns());
  }
}

}  // namespace troupe::model
