#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/options.h"
#include "storage/gguf/writer.h"

namespace troupe::conversion {

/// What a file says of a model beside its tensors and tokenizer.
class GgufFacts {
 public:
  /// context: the longest, in tokens
  GgufFacts(std::string architecture, const model::ModelOptions& options, std::int64_t vocab_size,
            std::int64_t context);

  [[nodiscard]] const model::ModelOptions& options() const { return options_; }
  /// Of every layer.
  [[nodiscard]] const std::vector<model::AttentionOptions>& mixers() const { return mixers_; }
  /// The first that is rotated, or the first.
  [[nodiscard]] const model::AttentionOptions& rotated() const;
  [[nodiscard]] std::int64_t vocab_size() const { return vocab_size_; }
  [[nodiscard]] std::int64_t context() const { return context_; }

  /// key: without the architecture
  void say(const std::string& key, storage::gguf::Value value);
  void say_number(const std::string& key, std::int64_t value);
  void say_real(const std::string& key, double value);
  /// Every rotated pair's frequency is divided by its number: a tensor of the file.
  void divide_frequencies(std::vector<float> by) { frequency_divisors_ = std::move(by); }
  /// kConfig, saying that the architecture cannot say `what`, unless it holds.
  void require(bool holds, std::string_view what) const;

  [[nodiscard]] const storage::gguf::Metadata& metadata() const { return metadata_; }
  /// [rotated channels / 2], or empty.
  [[nodiscard]] const std::vector<float>& frequency_divisors() const { return frequency_divisors_; }

 private:
  std::string architecture_;
  const model::ModelOptions& options_;
  std::vector<model::AttentionOptions> mixers_;
  std::int64_t vocab_size_;
  std::int64_t context_;
  storage::gguf::Metadata metadata_;
  std::vector<float> frequency_divisors_;
};

/// Some keys of a file, or what llama.cpp computes for the architecture without being told: then a model that
/// is otherwise is refused.
using GgufFact = std::function<void(GgufFacts&)>;

// Of the attention.

[[nodiscard]] GgufFact gguf_sizes();
/// Key and value heads, their width, and rotation.
[[nodiscard]] GgufFact gguf_heads();
[[nodiscard]] GgufFact gguf_latent_heads();
/// Heads are as wide as the hidden size, together.
[[nodiscard]] GgufFact gguf_usual_head_dim();
/// As many key and value heads as query heads.
[[nodiscard]] GgufFact gguf_all_keys();
/// All channels of a head are rotated.
[[nodiscard]] GgufFact gguf_whole_rotation();
[[nodiscard]] GgufFact gguf_no_scaling();
/// linear, or yarn with rounded borders.
[[nodiscard]] GgufFact gguf_scaling();
/// The same, or llama3, by divisors of frequencies.
[[nodiscard]] GgufFact gguf_any_scaling();
/// yarn that scales scores, too, by the same factor on both sides.
[[nodiscard]] GgufFact gguf_latent_scaling();
/// Every query sees all before it.
[[nodiscard]] GgufFact gguf_no_windows();
/// All layers have one window, but the last of every `period`.
[[nodiscard]] GgufFact gguf_windows(std::int64_t period);
/// The last of every `period` layers has no positions.
[[nodiscard]] GgufFact gguf_nope(std::int64_t period);
/// Scores are divided by the root of head_dim, or in a model of so many layers of hidden size / heads.
[[nodiscard]] GgufFact gguf_query_scale(std::int64_t layers_of_the_other);
/// Of layers with a window, while gguf_heads() says that of the others.
[[nodiscard]] GgufFact gguf_near_theta();

// Of the rest.

[[nodiscard]] GgufFact gguf_dense();
/// size_keys: of experts
[[nodiscard]] GgufFact gguf_experts(const std::vector<std::string>& size_keys);
/// Every layer has experts.
[[nodiscard]] GgufFact gguf_only_experts();
/// So many layers without experts come before the others; shared experts.
[[nodiscard]] GgufFact gguf_dense_first();
/// How weights of experts are made of scores: by softmax or sigmoid, normalised or not, times a scale.
[[nodiscard]] GgufFact gguf_said_weights();
/// Weights of experts are normalised, or not, whatever the file says.
[[nodiscard]] GgufFact gguf_normalizes(bool always);
/// Experts are chosen among all.
[[nodiscard]] GgufFact gguf_no_groups();
/// Among all, or in the groups whose two best ones have the largest sum.
[[nodiscard]] GgufFact gguf_groups();
/// Caps of attention's scores and of logits, each of which there is.
[[nodiscard]] GgufFact gguf_caps();
[[nodiscard]] GgufFact gguf_no_caps();
[[nodiscard]] GgufFact gguf_logit_scale();
/// The embedding is the head.
[[nodiscard]] GgufFact gguf_tied();
/// The table of positions is as long as the context.
[[nodiscard]] GgufFact gguf_learned_positions();

}  // namespace troupe::conversion
