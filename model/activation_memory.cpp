#include "model/activation_memory.h"

#include <algorithm>

#include "model/declaration.h"

namespace troupe::model {
namespace {

constexpr std::int64_t kFloatBytes = 4;
constexpr std::int64_t kScratchBytes = 64 << 20;  // what is small, and in no declaration

/// Of all blocks, and of backward through one after the other.
struct BlockBytes {
  std::int64_t kept = 0;
  std::int64_t used = 0;
};

/// A block that is computed again keeps its output, [tokens, hidden], until then.
BlockBytes block_bytes(const ModelDeclaration& model, bool recompute, std::int64_t output) {
  BlockBytes bytes;
  for (const layers::Declaration& block : model.blocks) {
    bytes.kept += recompute ? output : block.kept_bytes();
    bytes.used = std::max(bytes.used, block.used_bytes() + (recompute ? block.kept_bytes() : 0));
  }
  return bytes;
}

}  // namespace

std::int64_t activation_bytes(const ModelOptions& options, const TransformerShape& shape,
                              const experts::RoutedRows& rows) {
  const ModelDeclaration model = declare(options, shape.vocab_size, {shape.max_tokens, rows});
  const std::int64_t stream = kFloatBytes * shape.max_tokens * options.hidden_size;
  const BlockBytes blocks = block_bytes(model, shape.recompute, stream);
  const std::int64_t gradient = stream;  // of what the blocks pass on
  return model.embedding.kept_bytes() + blocks.kept + model.head.kept_bytes() +
         std::max(model.head.used_bytes(), gradient + blocks.used);
}

std::int64_t activation_bytes_bound(const ModelOptions& options, const TransformerShape& shape,
                                    const experts::DispatchGroup& group) {
  const auto rows = experts::most_rows(options.moe, options.hidden_size, shape.max_tokens, group);
  return activation_bytes(options, shape, rows) + kScratchBytes;
}

}  // namespace troupe::model
