#include "model/activation_memory.h"

#include <algorithm>

#include "model/declaration.h"
#include "model/layer_spec.h"

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

/// [tokens, hidden]
std::int64_t stream_bytes(const ModelOptions& options, const TransformerShape& shape) {
  return kFloatBytes * shape.max_tokens * options.hidden_size;
}

}  // namespace

std::int64_t activation_bytes(const ModelOptions& options, const TransformerShape& shape,
                              const experts::RoutedRows& rows) {
  const ModelDeclaration model = declare(options, shape.vocab_size, {shape.max_tokens, rows});
  BlockBytes blocks = block_bytes(model, shape.recompute, stream_bytes(options, shape));
  if (shape.recompute && options.moe.shortcut) {  // what experts give is kept, and made again
    blocks.kept += moe_layers(options) * stream_bytes(options, shape);
    blocks.used += stream_bytes(options, shape);
  }
  const std::int64_t kept = model.embedding.kept_bytes() + blocks.kept + model.head.kept_bytes();
  const std::int64_t gradient = stream_bytes(options, shape);  // of what the blocks pass on
  return shape.held * kept + std::max(model.head.used_bytes(), gradient + blocks.used);
}

std::int64_t held_activation_bytes(const ModelOptions& options, const TransformerShape& shape) {
  // Alone in its group a worker receives what it sends, as it does on average in any group.
  const auto rows = experts::even_rows(options.moe, options.hidden_size, shape.max_tokens,
                                       {.workers = 1, .local_experts = options.moe.experts});
  const auto bytes = [&](std::int64_t held) {
    TransformerShape holding = shape;
    holding.held = held;
    return activation_bytes(options, holding, rows);
  };
  return bytes(2) - bytes(1);
}

std::int64_t activation_bytes_bound(const ModelOptions& options, const TransformerShape& shape,
                                    const experts::DispatchGroup& group) {
  const auto rows = experts::most_rows(options.moe, options.hidden_size, shape.max_tokens, group);
  std::int64_t passing = 0;  // by a microbatch that is only counted, beside those that are held
  for (const layers::Declaration& block : declare(options, shape.vocab_size, {shape.max_tokens, rows}).blocks)
    passing = std::max(passing, block.kept_bytes() + 2 * stream_bytes(options, shape));
  if (options.moe.shortcut) passing += stream_bytes(options, shape);
  if (options.mtp.depth > 0) passing += (options.mtp.depth + 1) * stream_bytes(options, shape);
  return activation_bytes(options, shape, rows) + passing + kScratchBytes;
}

}  // namespace troupe::model
