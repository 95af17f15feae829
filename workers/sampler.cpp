#include "workers/sampler.h"

#include <algorithm>
#include <cstddef>
#include <memory>

#include "base/index.h"
#include "base/random.h"
#include "workers/continuations.h"

namespace troupe::workers {
namespace {

/// One text as it is written, on worker 0.
class Writing {
 public:
  Writing(const Prompt& prompt, const data::Tokenizer& tokenizer, std::uint64_t seed, TextSink sink)
      : prompt_(prompt),
        tokenizer_(tokenizer),
        random_(seed, RandomPurpose::kSampling, static_cast<std::uint32_t>(prompt.step)),
        sink_(std::move(sink)) {
    for (const std::string& stop : prompt.stops) longest_stop_ = std::max(longest_stop_, stop.size());
  }

  [[nodiscard]] bool ended() const { return ended_; }

  /// Chooses the next token; none when it is the end.
  std::optional<std::int32_t> go_on(std::span<const float> logits, const SamplingRule& rule) {
    const std::uint64_t number = static_cast<std::uint64_t>(prompt_.number << 32) + written_.tokens.size();
    const std::int32_t token = choose_token(logits, rule, random_.uniform(number));
    if (token == tokenizer_.end_of_text() || token == prompt_.end) {
      finish(WritingEnd::kEndOfText);
      return std::nullopt;
    }
    written_.tokens.push_back(token);
    written_.log_probabilities.push_back(log_probability(logits, token));
    bytes_ += tokenizer_.token_bytes(token);
    if (cut_at_stop()) {
      finish(WritingEnd::kStop);
      return std::nullopt;
    }
    give(bytes_.size() - std::min(bytes_.size(), longest_stop_ > 0 ? longest_stop_ - 1 : 0));
    return token;
  }

  Written finish() && {
    if (!ended_) finish(WritingEnd::kLength);
    written_.text = written_.end == WritingEnd::kStop ? bytes_ : tokenizer_.decode(written_.tokens);
    return std::move(written_);
  }

 private:
  void finish(WritingEnd end) {
    ended_ = true;
    written_.end = end;
    give(bytes_.size());
  }

  /// Whether one of the stops is there; the text ends before the first.
  bool cut_at_stop() {
    std::size_t first = std::string::npos;
    for (const std::string& stop : prompt_.stops) first = std::min(first, bytes_.find(stop, given_));
    if (first == std::string::npos) return false;
    bytes_.resize(first);
    return true;
  }

  void give(std::size_t until) {
    if (until <= given_) return;
    if (sink_) sink_(std::string_view(bytes_).substr(given_, until - given_));
    given_ = until;
  }

  const Prompt& prompt_;
  const data::Tokenizer& tokenizer_;
  Random random_;
  TextSink sink_;
  std::size_t longest_stop_ = 0;
  std::string bytes_;
  std::size_t given_ = 0;  // bytes that the sink got, or may get: no stop can begin before
  Written written_;
  bool ended_ = false;
};

/// The tokens of several sequences that go through the model next. How many is known on every worker, as if
/// none had ended; which they are on worker 0.
class Contexts {
 public:
  Contexts(std::vector<std::vector<std::int32_t>> begins, std::int64_t capacity)
      : contexts_(std::move(begins)),
        capacity_(capacity),
        lengths_(contexts_.size()),
        added_(contexts_.size()) {
    for (std::size_t i = 0; i < contexts_.size(); ++i) {
      length_.push_back(std::ssize(contexts_[i]));
      if (length_[i] > capacity_) length_[i] = later_half();
      keep_last(i, length_[i]);
      lengths_[i] = length_[i];
      added_[i] = contexts_[i];
    }
  }

  [[nodiscard]] std::span<const std::int64_t> lengths() const { return lengths_; }
  [[nodiscard]] std::span<const std::vector<std::int32_t>> tokens() const { return added_; }

  /// One token more for each; none where a sequence has ended.
  void next(std::span<const std::optional<std::int32_t>> tokens, Continuations& sequences) {
    for (std::size_t i = 0; i < contexts_.size(); ++i) {
      added_[i].clear();
      lengths_[i] = 1;
      if (tokens[i]) contexts_[i].push_back(*tokens[i]);
      if (tokens[i]) added_[i].push_back(*tokens[i]);
      if (++length_[i] <= capacity_) continue;
      lengths_[i] = length_[i] = later_half();
      keep_last(i, length_[i]);
      if (tokens[i]) added_[i] = contexts_[i];
      sequences.clear(i);
    }
  }

 private:
  [[nodiscard]] std::int64_t later_half() const { return (capacity_ + 1) / 2; }
  void keep_last(std::size_t i, std::int64_t count) {
    auto& context = contexts_[i];
    if (std::ssize(context) > count) context.erase(context.begin(), context.end() - count);
  }

  std::vector<std::vector<std::int32_t>> contexts_;
  std::int64_t capacity_;
  std::vector<std::int64_t> length_;  // of each context, as if it had not ended
  std::vector<std::int64_t> lengths_;
  std::vector<std::vector<std::int32_t>> added_;
};

/// On every worker what worker 0 knows.
bool all_ended(std::span<const Writing> writings, comm::Communicator& world) {
  auto ended = static_cast<std::byte>(std::ranges::all_of(writings, &Writing::ended));
  if (world.size() > 1) world.broadcast({&ended, 1}, 0);
  return ended != std::byte{0};
}

}  // namespace

Sampler::Sampler(model::Model& model, const data::Tokenizer& tokenizer)
    : model_(model), tokenizer_(tokenizer) {}

std::string Sampler::sample(const Prompt& prompt, std::int64_t tokens, const SamplingRule& rule,
                            const TextSink& sink) {
  return *sample(prompt, tokens, rule, sink, {});
}

std::optional<std::string> Sampler::sample(const Prompt& prompt, std::int64_t tokens,
                                           const SamplingRule& rule, const TextSink& sink,
                                           const Interrupted& interrupted) {
  auto written = write({&prompt, 1}, tokens, rule, sink, interrupted);
  if (!written) return std::nullopt;
  return std::move(written->front().text);
}

std::unique_ptr<Continuations> Sampler::continuations(std::span<const Prompt> prompts, std::int64_t longest,
                                                      std::int64_t together, std::int64_t tokens) const {
  const auto sequences = std::ssize(prompts);
  if (model_.accelerator() != nullptr) return make_recomputed_continuations(model_, sequences);
  const std::int64_t capacity = std::min(model_.shape().sequence_length, longest + tokens);
  return make_cached_continuations(model_, sequences, capacity, together);
}

std::optional<std::vector<Written>> Sampler::write(std::span<const Prompt> prompts, std::int64_t tokens,
                                                   const SamplingRule& rule, const TextSink& sink,
                                                   const Interrupted& interrupted) {
  const auto& layout = model_.layout();
  const int rank = model_.rank();
  const bool takes_part = layout.group(rank) == layout.group(0);
  std::vector<std::vector<std::int32_t>> begins;
  std::vector<Writing> writings;
  std::int64_t longest = 0;
  std::int64_t together = 0;
  for (const Prompt& prompt : prompts) {
    auto& begin = begins.emplace_back(1, tokenizer_.document_start());
    const auto ids = prompt.ids.empty() ? tokenizer_.encode(prompt.text) : prompt.ids;
    begin.insert(begin.end(), ids.begin(), ids.end());
    longest = std::max(longest, std::ssize(begin));
    together += std::ssize(begin);
    writings.emplace_back(prompt, tokenizer_, prompt.seed.value_or(model_.seed()),
                          writings.empty() ? sink : TextSink());
  }
  std::unique_ptr<Continuations> sequences;
  if (takes_part) sequences = continuations(prompts, longest, together, tokens);
  Contexts contexts(std::move(begins), takes_part ? sequences->capacity() : longest + tokens);
  for (std::int64_t i = 0; i < tokens && !all_ended(writings, model_.world()); ++i) {
    if (interrupted && interrupted()) return std::nullopt;
    if (!takes_part) continue;
    sequences->add(contexts.lengths(), contexts.tokens());
    std::vector<std::optional<std::int32_t>> next(writings.size());
    for (std::size_t s = 0; s < writings.size() && rank == 0; ++s) {
      if (writings[s].ended()) continue;
      next[s] = writings[s].go_on(sequences->logits(s).first(at(tokenizer_.vocab_size())), rule);
    }
    contexts.next(next, *sequences);
  }
  std::vector<Written> written;
  for (Writing& writing : writings) written.push_back(rank == 0 ? std::move(writing).finish() : Written());
  return written;
}

}  // namespace troupe::workers
