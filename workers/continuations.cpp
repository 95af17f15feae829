#include "workers/continuations.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/index.h"
#include "model/generation/decoder.h"

namespace troupe::workers {
namespace {

using model::NextToken;

constexpr std::int64_t kMostTokensAtOnce = 512;

class CachedContinuations final : public Continuations {
 public:
  CachedContinuations(model::Model& model, std::int64_t sequences, std::int64_t capacity, std::int64_t tokens)
      : has_tokens_(model.rank() == 0),
        vocab_(model.shape().vocab_size),
        decoder_(model, {model.rank() == 0 ? sequences : 0, capacity},
                 std::clamp<std::int64_t>(tokens, 1, kMostTokensAtOnce)),
        lengths_(at(sequences)),
        logits_(at(model.rank() == 0 ? sequences * vocab_ : 0)) {}

  [[nodiscard]] std::int64_t capacity() const override { return decoder_.shape().capacity; }

  void add(std::span<const std::int64_t> lengths,
           std::span<const std::vector<std::int32_t>> tokens) override {
    const std::int64_t most = decoder_.most_tokens();
    const std::int64_t all = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    const std::vector<NextToken> next = in_places(tokens);
    for (std::int64_t begin = 0; begin < all; begin += most) {
      const std::int64_t count = std::clamp<std::int64_t>(std::ssize(next) - begin, 0, most);
      decode(std::span(next).subspan(at(std::min(begin, std::ssize(next))), at(count)));
    }
  }

  void clear(std::size_t sequence) override { lengths_[sequence] = 0; }

  [[nodiscard]] std::span<const float> logits(std::size_t sequence) const override {
    return part(logits_, static_cast<std::int64_t>(sequence) * vocab_, vocab_);
  }

 private:
  std::vector<NextToken> in_places(std::span<const std::vector<std::int32_t>> tokens) {
    std::vector<NextToken> next;
    if (!has_tokens_) return next;
    for (std::size_t sequence = 0; sequence < tokens.size(); ++sequence) {
      for (const std::int32_t token : tokens[sequence])
        next.push_back({token, static_cast<std::int32_t>(sequence), lengths_[sequence]++});
    }
    return next;
  }

  /// A sequence's last token of the pass tells what follows it; a later pass may tell more.
  void decode(std::span<const NextToken> tokens) {
    std::vector<std::int64_t> wanted;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i + 1 == tokens.size() || tokens[i + 1].sequence != tokens[i].sequence)
        wanted.push_back(static_cast<std::int64_t>(i));
    }
    made_.resize(wanted.size() * at(vocab_));
    decoder_.decode(tokens, wanted, made_);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::int64_t sequence = tokens[at(wanted[i])].sequence;
      std::ranges::copy(part(made_, static_cast<std::int64_t>(i) * vocab_, vocab_),
                        logits_.begin() + sequence * vocab_);
    }
  }

  bool has_tokens_;
  std::int64_t vocab_;
  model::Decoder decoder_;
  std::vector<std::int32_t> lengths_;  // [sequences]
  std::vector<float> logits_;          // [sequences, vocab]
  std::vector<float> made_;
};

class RecomputedContinuations final : public Continuations {
 public:
  RecomputedContinuations(model::Model& model, std::int64_t sequences)
      : model_(model), contexts_(at(sequences)), logits_(at(sequences)) {
    const std::int64_t length = model.shape().sequence_length;
    const auto size = at(model.shape().max_tokens);
    targets_.resize(size, -1);
    first_visible_.resize(size, 0);
    for (std::size_t i = 0; i < size; ++i)
      positions_.push_back(static_cast<std::int32_t>(static_cast<std::int64_t>(i) % length));
  }

  [[nodiscard]] std::int64_t capacity() const override { return model_.shape().sequence_length; }

  void add(std::span<const std::int64_t> lengths,
           std::span<const std::vector<std::int32_t>> tokens) override {
    for (std::size_t sequence = 0; sequence < lengths.size(); ++sequence) {
      if (lengths[sequence] == 0) continue;
      if (model_.rank() != 0) {
        model_.transformer().logits_of_row({}, model_.frozen_context(), model_.weights(), 0, {});
        continue;
      }
      auto& context = contexts_[sequence];
      context.insert(context.end(), tokens[sequence].begin(), tokens[sequence].end());
      compute(context, logits_[sequence]);
    }
  }

  void clear(std::size_t sequence) override { contexts_[sequence].clear(); }
  [[nodiscard]] std::span<const float> logits(std::size_t sequence) const override {
    return logits_[sequence];
  }

 private:
  void compute(const std::vector<std::int32_t>& context, std::vector<float>& logits) {
    tokens_.assign(targets_.size(), 0);
    std::ranges::copy(context, tokens_.begin());
    logits.resize(at(model_.shape().vocab_size));
    const Shape shape{std::ssize(tokens_)};
    model_.transformer().logits_of_row({.tokens = {tokens_.data(), shape},
                                        .targets = {targets_.data(), shape},
                                        .positions = {positions_.data(), shape},
                                        .first_visible = {first_visible_.data(), shape}},
                                       model_.frozen_context(), model_.weights(),
                                       std::max<std::int64_t>(std::ssize(context) - 1, 0), logits);
  }

  model::Model& model_;
  std::vector<std::vector<std::int32_t>> contexts_;
  std::vector<std::vector<float>> logits_;
  std::vector<std::int32_t> tokens_;         // [micro_batch * length], this and the following
  std::vector<std::int32_t> targets_;        // masked
  std::vector<std::int32_t> positions_;      // in the sequence
  std::vector<std::int32_t> first_visible_;  // 0
};

}  // namespace

std::unique_ptr<Continuations> make_cached_continuations(model::Model& model, std::int64_t sequences,
                                                         std::int64_t capacity, std::int64_t tokens) {
  return std::make_unique<CachedContinuations>(model, sequences, capacity, tokens);
}

std::unique_ptr<Continuations> make_recomputed_continuations(model::Model& model, std::int64_t sequences) {
  return std::make_unique<RecomputedContinuations>(model, sequences);
}

}  // namespace troupe::workers
