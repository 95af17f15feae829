#pragma once
#include <cstdint>

namespace troupe::model {

/// Of what a Transformer computes at once, and how it keeps it.
struct TransformerShape {
  std::int64_t vocab_size = 0;
  std::int64_t sequence_length = 0;
  std::int64_t max_tokens = 0;  // of a microbatch: micro_batch * sequence_length
  int domains = 0;              // of the corpus; 0: counts are not split by domain
  bool recompute = false;       // a block keeps its input only, and is computed again in backward
  std::int64_t held = 1;        // microbatches between their forward and their backward at once
};

}  // namespace troupe::model
