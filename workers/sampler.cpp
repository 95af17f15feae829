#include "workers/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/index.h"
#include "base/random.h"
#include "data/batch.h"

namespace troupe::workers {
namespace {

std::vector<std::int32_t> by_likelihood(std::span<const float> logits) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order,
                           [&](std::int32_t a, std::int32_t b) { return logits[at(a)] > logits[at(b)]; });
  return order;
}

}  // namespace

std::int32_t choose_token(std::span<const float> logits, const SamplingRule& rule, double uniform) {
  std::vector<std::int32_t> order = by_likelihood(logits);
  if (rule.temperature <= 0.0) return order.front();
  if (rule.top_k > 0 && rule.top_k < std::ssize(order)) order.resize(at(rule.top_k));
  std::vector<double> cumulative;
  double total = 0.0;
  const double most = logits[at(order.front())];
  for (const std::int32_t id : order) {
    total += std::exp((logits[at(id)] - most) / rule.temperature);
    cumulative.push_back(total);
  }
  const auto chosen = std::ranges::upper_bound(cumulative, uniform * total) - cumulative.begin();
  return order[std::min(at(chosen), order.size() - 1)];
}

Sampler::Sampler(model::Model& model, const data::Tokenizer& tokenizer)
    : model_(model), tokenizer_(tokenizer) {
  const std::int64_t length = model.shape().sequence_length;
  const auto size = at(model.shape().max_tokens);
  tokens_.resize(size, tokenizer.end_of_text());
  targets_.resize(size, data::kMaskedTarget);
  first_visible_.resize(size, 0);
  for (std::size_t i = 0; i < size; ++i) {
    positions_.push_back(static_cast<std::int32_t>(static_cast<std::int64_t>(i) % length));
  }
  logits_.resize(at(model.shape().vocab_size));
}

std::string Sampler::sample(const Prompt& prompt, std::int64_t tokens, const SamplingRule& rule,
                            const TextSink& sink) {
  return *sample(prompt, tokens, rule, sink, [] { return false; });
}

std::optional<std::string> Sampler::sample(const Prompt& prompt, std::int64_t tokens,
                                           const SamplingRule& rule, const TextSink& sink,
                                           const Interrupted& interrupted) {
  const bool writer = model_.rank() == 0;
  const bool alone = model_.layout().workers() == 1;
  const Random random(prompt.seed.value_or(model_.seed()), RandomPurpose::kSampling,
                      static_cast<std::uint32_t>(prompt.step));
  std::vector<std::int32_t> context{tokenizer_.document_start()};
  const auto prompt_ids = prompt.ids.empty() ? tokenizer_.encode(prompt.text) : prompt.ids;
  context.insert(context.end(), prompt_ids.begin(), prompt_ids.end());
  std::vector<std::int32_t> written;
  bool ended = false;  // the others cannot know, so the remaining passes are made all the same
  for (std::int64_t i = 0; i < tokens && !(ended && alone); ++i) {
    if (interrupted()) return std::nullopt;
    const double uniform = random.uniform(static_cast<std::uint64_t>((prompt.number << 32) + i));
    const std::int32_t token = next_token(context, rule, uniform);
    ended = ended || token == tokenizer_.end_of_text() || token == prompt.end;
    if (ended || !writer) continue;
    context.push_back(token);
    written.push_back(token);
    if (sink) sink(tokenizer_.token_bytes(token));
  }
  return writer ? tokenizer_.decode(written) : std::string();
}

std::int32_t Sampler::next_token(std::span<const std::int32_t> context, const SamplingRule& rule,
                                 double uniform) {
  const auto& layout = model_.layout();
  const int rank = model_.rank();
  if (layout.group(rank) != layout.group(0))
    return tokenizer_.end_of_text();  // not of worker 0's expert group
  if (rank != 0) {
    model_.transformer().logits_of_row({}, model_.frozen_context(), model_.weights(), 0, {});
    return tokenizer_.end_of_text();
  }
  const auto length = at(model_.shape().sequence_length);
  if (context.size() > length) context = context.last(length);
  std::ranges::fill(tokens_, tokenizer_.end_of_text());
  std::ranges::copy(context, tokens_.begin());
  const Shape shape{static_cast<std::int64_t>(tokens_.size())};
  const MicrobatchInput input{.tokens = {tokens_.data(), shape},
                              .targets = {targets_.data(), shape},
                              .positions = {positions_.data(), shape},
                              .first_visible = {first_visible_.data(), shape}};
  model_.transformer().logits_of_row(input, model_.frozen_context(), model_.weights(),
                                     static_cast<std::int64_t>(context.size()) - 1, logits_);
  return choose_token(std::span<const float>(logits_).first(at(tokenizer_.vocab_size())), rule, uniform);
}

}  // namespace troupe::workers
