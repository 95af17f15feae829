#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "data/preferences/pair_reader.h"
#include "data/sequence_reader.h"
#include "layout/layout.h"
#include "model/preference.h"

namespace troupe::workers {

/// Views of read sequences as a model takes them; valid until the reader's next call.
[[nodiscard]] MicrobatchInput as_input(const data::Sequences& sequences);

/// The same of their pairs, which become the content of `pairs`.
///   reference: of the file's pairs, by number; empty where no objective asks for it
void as_pairs(const data::Sequences& sequences, std::span<const model::PairScores> reference,
              std::vector<PreferencePair>& pairs);

/// Reads the microbatches of a global batch by (accumulation step, lane). `order` and `dataset` must outlive
/// it.
class BatchLoader {
 public:
  BatchLoader(const data::TokenDataset& dataset, const data::SequenceOrder& order, std::int64_t length,
              bool document_mask, const layout::BatchShape& batch);
  /// Of preference pairs. reference: as as_pairs() takes it, at the first load(); outlives the loader
  BatchLoader(const data::TokenDataset& dataset, const data::PairOrder& order, std::int64_t length,
              const layout::BatchShape& batch, const std::vector<model::PairScores>& reference);

  /// Unmasked targets, or pairs, of the global batch that begins at a sequence number: M.
  [[nodiscard]] std::int64_t target_tokens(std::int64_t first_sequence) const;

  /// Microbatch that begins at this sequence number; valid until the next call. The same place of the next
  /// global batch is read ahead, so that no step waits for the disk.
  [[nodiscard]] MicrobatchInput load(std::int64_t first_sequence);

 private:
  std::unique_ptr<data::BatchReader> reader_;
  std::int64_t length_;
  layout::BatchShape batch_;
  std::vector<std::int64_t> numbers_;  // [micro_batch]
  const std::vector<model::PairScores>* reference_ = nullptr;
  std::vector<PreferencePair> pairs_;
};

}  // namespace troupe::workers
