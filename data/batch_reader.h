#pragma once
#include <cstdint>
#include <span>

#include "data/batch.h"

namespace troupe::data {

/// Reads sequences by their number. Not thread-safe; each reader has its own buffers.
class BatchReader {
 public:
  virtual ~BatchReader() = default;

  /// Sequence i of the result is `numbers[i]`. Valid until the next call; does not allocate once it
  /// has been called with as many numbers.
  virtual const Sequences& read(std::span<const std::int64_t> numbers) = 0;
  /// Has the tokens of a sequence that will be read soon brought into memory, without waiting.
  virtual void prefetch(std::int64_t number) const = 0;
  /// What the loss is a mean over, of this sequence, from the file's header alone: no token is read.
  [[nodiscard]] virtual std::int64_t targets(std::int64_t number) const = 0;
};

}  // namespace troupe::data
