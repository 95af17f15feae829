#pragma once
#include <cstdint>
#include <deque>

#include "model/rope_frequencies.h"
#include "tensor/ops/rope/rope.h"

namespace troupe::model {

/// The rotations of a model's layers, one table for all that rotate alike.
class RopeTables {
 public:
  explicit RopeTables(std::int64_t sequence_length, Accelerator* accelerator = nullptr)
      : sequence_length_(sequence_length), accelerator_(accelerator) {}

  /// Lives as long as this.
  [[nodiscard]] const ops::RopeTable& of(const AttentionOptions& mixer) {
    const RopeFrequencies frequencies = rope_frequencies(mixer.rope, rotated_channels(mixer));
    for (const Entry& entry : tables_) {
      if (entry.frequencies == frequencies && entry.table.pairing() == mixer.rope.pairing) return entry.table;
    }
    return tables_
        .emplace_back(frequencies, ops::RopeTable(sequence_length_, frequencies.values, frequencies.magnitude,
                                                  mixer.rope.pairing, accelerator_))
        .table;
  }

 private:
  struct Entry {
    Entry(RopeFrequencies of, ops::RopeTable rotations)
        : frequencies(std::move(of)), table(std::move(rotations)) {}
    RopeFrequencies frequencies;
    ops::RopeTable table;
  };

  std::int64_t sequence_length_;
  Accelerator* accelerator_;
  std::deque<Entry> tables_;  // where they are they stay
};

}  // namespace troupe::model
