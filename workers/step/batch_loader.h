#pragma once
#include <cstdint>
#include <vector>

#include "data/sequence_reader.h"
#include "layout/layout.h"
#include "model/microbatch.h"

namespace troupe::workers {

/// Views of read sequences as a model takes them; valid until the reader's next call.
[[nodiscard]] MicrobatchInput as_input(const data::Sequences& sequences);

/// Reads the microbatches of a global batch by (accumulation step, lane). `order` and `dataset` must outlive
/// it.
class BatchLoader {
 public:
  BatchLoader(const data::TokenDataset& dataset, const data::SequenceOrder& order, std::int64_t length,
              bool document_mask, const layout::BatchShape& batch);

  /// Unmasked targets of the global batch that begins at a sequence number: M.
  [[nodiscard]] std::int64_t target_tokens(std::int64_t first_sequence) const;

  /// Microbatch that begins at this sequence number; valid until the next call. The same place of the next
  /// global batch is read ahead, so that no step waits for the disk.
  [[nodiscard]] MicrobatchInput load(std::int64_t first_sequence);

 private:
  data::SequenceReader reader_;
  std::int64_t length_;
  layout::BatchShape batch_;
  std::vector<std::int64_t> numbers_;  // [micro_batch]
};

}  // namespace troupe::workers
