#pragma once
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace troupe {

/// Two answers to one prompt in a microbatch: the chosen half is the tokens [chosen, rejected), the rejected
/// one [rejected, end).
struct PreferencePair {
  std::int64_t chosen = 0;
  std::int64_t rejected = 0;
  std::int64_t end = 0;
  double reference = 0.0;  // of dpo: log p(chosen) - log p(rejected) by the reference weights
};

/// Sequences that are computed together. tokens = sequences * sequence_length, or 0: a worker without
/// a lane in the last wave joins the collectives with nothing. All views: [tokens] i32, on the host for a
/// model, where the layers compute for these.
struct MicrobatchInput {
  ConstTensorView tokens = {};                  // ids
  ConstTensorView targets = {};                 // next token's id; -1: masked, no loss
  ConstTensorView positions = {};               // position in the document, for RoPE
  ConstTensorView first_visible = {};           // first position of the same sequence that a token sees
  std::span<const ConstTensorView> spans = {};  // the same for shorter spans of keys; made by the model
  ConstTensorView domains = {};                 // of each target's document; may be empty
  std::int64_t first_token = 0;                 // number in the run of the first token; the others follow
  std::int64_t sequence_length = 1;
  std::int64_t target_tokens = 0;              // unmasked; counted by the model
  std::span<const PreferencePair> pairs = {};  // of an objective that compares, ascending; on the host
};

}  // namespace troupe
