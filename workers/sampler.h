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
#include "workers/token_choice.h"

namespace troupe::workers {

class Continuations;

/// What is written on, and by which random numbers.
struct Prompt {
  std::string text = {};
  std::int64_t number = 0;                 // among the prompts of a step
  std::int64_t step = 0;                   // of the weights
  std::optional<std::uint64_t> seed = {};  // none: the model's
  std::vector<data::TokenId> ids = {};     // of a chat, instead of the text
  std::optional<data::TokenId> end = {};   // ends what is written, as the end of text does
  std::vector<std::string> stops = {};     // texts that end it, and are no part of it
};

enum class WritingEnd : std::uint8_t { kLength, kEndOfText, kStop };

/// What follows a prompt.
struct Written {
  std::string text;
  std::vector<data::TokenId> tokens;
  std::vector<double> log_probabilities;  // of the tokens, natural
  WritingEnd end = WritingEnd::kLength;
};

/// The bytes of each token as it is written; characters may be cut in two.
using TextSink = std::function<void(std::string_view)>;

/// Lets the model write: of each text every token goes through the model once (Decoder); no training state
/// changes. Random numbers are keyed by (seed, step, prompt, token), so the text is the same for every
/// layout. Collective over all workers, with the same prompts; only worker 0 gets the text.
class Sampler {
 public:
  /// The references must outlive the sampler.
  Sampler(model::Model& model, const data::Tokenizer& tokenizer);

  /// What follows the prompt, at most `tokens` tokens, up to its end or the end of the text. Empty on workers
  /// other than 0; there `sink` gets it too, while it is written. Of a context longer than the model's
  /// sequence the later half remains.
  std::string sample(const Prompt& prompt, std::int64_t tokens, const SamplingRule& rule,
                     const TextSink& sink = {});
  /// Nothing once `interrupted` says so: it is asked before each token.
  [[nodiscard]] std::optional<std::string> sample(const Prompt& prompt, std::int64_t tokens,
                                                  const SamplingRule& rule, const TextSink& sink,
                                                  const Interrupted& interrupted);
  /// Several texts at once, of prompts of any lengths. `sink` gets the first one's.
  [[nodiscard]] std::optional<std::vector<Written>> write(std::span<const Prompt> prompts,
                                                          std::int64_t tokens, const SamplingRule& rule,
                                                          const TextSink& sink = {},
                                                          const Interrupted& interrupted = {});

 private:
  [[nodiscard]] std::unique_ptr<Continuations> continuations(std::span<const Prompt> prompts,
                                                             std::int64_t longest, std::int64_t together,
                                                             std::int64_t tokens) const;

  model::Model& model_;
  const data::Tokenizer& tokenizer_;
};

}  // namespace troupe::workers
