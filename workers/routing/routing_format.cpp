#include "workers/routing/routing_format.h"

#include <fmt/format.h>

#include <bit>

#include "storage/hash.h"

namespace troupe::workers::detail {

std::string layer_dataset(std::int64_t layer) { return fmt::format("layers/{:02}/chosen", layer); }

std::int64_t slots_hash(std::span<const std::int32_t> slots) {
  return std::bit_cast<std::int64_t>(storage::hash_bytes(std::as_bytes(slots)).low);
}

std::string content_hash(const FileHead& head) {
  storage::Hasher hasher;
  const std::string words =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n", head.step, head.batch_sequences, head.sequence_length,
                  head.origin.seed, head.origin.corpus, head.origin.order, head.sequences.size());
  hasher.update(std::as_bytes(std::span(words)));
  hasher.update(std::as_bytes(std::span(head.sequences)));
  hasher.update(std::as_bytes(std::span(head.hashes)));
  return hasher.finish().to_string();
}

}  // namespace troupe::workers::detail
