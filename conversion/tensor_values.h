#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/index.h"
#include "conversion/tensor_map.h"
#include "storage/checkpoint_reader.h"

namespace troupe::conversion {

/// Whether the values of their tensor are some of ours, one after another.
[[nodiscard]] inline bool is_copy(const TheirTensor& tensor) {
  const Slice& slice = tensor.sources.front().slice;
  const bool in_order = slice.column_stride == 1 && (slice.rows <= 1 || slice.row_stride == slice.columns);
  return tensor.sources.size() == 1 && slice.begin == 0 && in_order;
}

/// Makes values of ours theirs.
inline void add(const TheirTensor& tensor, std::span<float> values) {
  if (tensor.added == 0.0F) return;
  for (float& value : values) value += tensor.added;
}

/// All values of a tensor of theirs, in their order.
[[nodiscard]] inline std::vector<float> rearranged(storage::CheckpointReader& reader,
                                                   const TheirTensor& tensor) {
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
  add(tensor, values);
  return values;
}

/// Writes a tensor's values: piece by piece, but for those that are stored in another order.
///   writer: has write(std::span<const float>)
template <class Writer>
void write_values(storage::CheckpointReader& reader, const TheirTensor& tensor, Writer& writer) {
  constexpr std::int64_t kPieceValues = std::int64_t{1} << 22;
  if (!is_copy(tensor)) return writer.write(rearranged(reader, tensor));
  const TheirTensor::Source& source = tensor.sources.front();
  const std::int64_t count = source.slice.elements();
  std::vector<float> values;
  for (std::int64_t done = 0; done < count; done += std::ssize(values)) {
    values.resize(at(std::min(kPieceValues, count - done)));
    reader.read(source.ours, source.begin + done, std::span(values));
    add(tensor, values);
    writer.write(values);
  }
}

}  // namespace troupe::conversion
