#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "model/model.h"
#include "workers/evaluator.h"

namespace troupe::workers {

/// How the next token is chosen.
struct SamplingRule {
  double temperature = 0.8;  // 0: the most likely token
  std::int64_t top_k = 40;   // of the most likely tokens; 0: all
};

/// What is written on, and by which random numbers.
struct Prompt {
  std::string text = {};
  std::int64_t number = 0;                 // among the prompts of a step
  std::int64_t step = 0;                   // of the weights
  std::optional<std::uint64_t> seed = {};  // none: the model's
  std::vector<data::TokenId> ids = {};     // of a chat, instead of the text
  std::optional<data::TokenId> end = {};   // ends what is written, as the end of text does
};

/// The bytes of each token as it is written; characters may be cut in two.
using TextSink = std::function<void(std::string_view)>;

/// The next token by a uniform number in [0, 1). Ties go to the lower id.
[[nodiscard]] std::int32_t choose_token(std::span<const float> logits, const SamplingRule& rule,
                                        double uniform);

/// Lets the model write: every token is one forward pass of a full-shape microbatch; no training
/// state changes. Random numbers are keyed by (seed, step, prompt, token), so the text is the same for
/// every layout. Collective over all workers; only worker 0 gets the text.
class Sampler {
 public:
  /// The references must outlive the sampler.
  Sampler(model::Model& model, const data::Tokenizer& tokenizer);

  /// What follows the prompt, at most `tokens` tokens, up to its end or the end of the text. Empty on workers
  /// other than 0; there `sink` gets it too, while it is written. A context longer than the model's sequence
  /// is cut at its front.
  std::string sample(const Prompt& prompt, std::int64_t tokens, const SamplingRule& rule,
                     const TextSink& sink = {});
  /// Nothing once `interrupted` says so: it is asked before each token.
  [[nodiscard]] std::optional<std::string> sample(const Prompt& prompt, std::int64_t tokens,
                                                  const SamplingRule& rule, const TextSink& sink,
                                                  const Interrupted& interrupted);

 private:
  [[nodiscard]] std::int32_t next_token(std::span<const std::int32_t> context, const SamplingRule& rule,
                                        double uniform);

  model::Model& model_;
  const data::Tokenizer& tokenizer_;
  std::vector<std::int32_t> tokens_;         // [micro_batch * length], this and the following
  std::vector<std::int32_t> targets_;        // masked
  std::vector<std::int32_t> positions_;      // in the sequence
  std::vector<std::int32_t> first_visible_;  // 0
  std::vector<float> logits_;                // [vocab]
};

}  // namespace troupe::workers
