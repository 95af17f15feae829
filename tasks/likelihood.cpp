#include "tasks/likelihood.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/index.h"

namespace troupe::tasks {
namespace {

/// Gives every worker the values that one of them has, the others 0: sums of bits are exact.
void share(comm::Communicator& world, std::span<double> values) {
  if (world.size() == 1) return;
  std::vector<std::int64_t> bits;
  for (const double value : values) bits.push_back(std::bit_cast<std::int64_t>(value));
  world.all_reduce_sum(bits);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::bit_cast<double>(bits[i]);
}

}  // namespace

Likelihood::Likelihood(model::Model& model, const data::Tokenizer& tokenizer)
    : model_(model),
      tokenizer_(tokenizer),
      result_(model.transformer().make_result()),
      filling_(make_microbatch()),
      own_(make_microbatch()),
      token_nll_(at(model.shape().max_tokens)) {}

Likelihood::Microbatch Likelihood::make_microbatch() const {
  Microbatch microbatch;
  data::Sequences& batch = microbatch.batch;
  batch.length = model_.shape().sequence_length;
  batch.count = model_.shape().max_tokens / batch.length;
  for (auto* column : {&batch.tokens, &batch.targets, &batch.positions, &batch.first_visible})
    column->resize(at(model_.shape().max_tokens));
  microbatch.filled.resize(at(batch.count));
  clear(microbatch);
  return microbatch;
}

std::vector<double> Likelihood::of(std::span<const Choice> choices,
                                   const std::function<void(std::size_t)>& progress) {
  std::vector<double> likelihoods(choices.size());
  for (std::size_t choice = 0; choice < choices.size(); ++choice) {
    const Document document = document_of(choices[choice]);
    if (place(choice, document)) continue;
    end_turn(likelihoods, false);
    if (progress) progress(choice);
    const bool fits = place(choice, document);
    TROUPE_CHECK(fits, "a document of {} tokens does not fit into an empty microbatch",
                 document.tokens.size());
  }
  end_turn(likelihoods, true);
  share(model_.world(), likelihoods);
  if (progress) progress(choices.size());
  return likelihoods;
}

/// Context and answer are encoded together, as they would be in a text: the answer's tokens are those after
/// the context's own.
Likelihood::Document Likelihood::document_of(const Choice& choice) const {
  const auto whole = tokenizer_.encode(choice.context + choice.answer);
  const std::size_t context = std::min(tokenizer_.encode(choice.context).size(), whole.size());
  TROUPE_CHECK(!whole.empty(), "a choice without text");
  Document document;
  document.tokens.push_back(tokenizer_.document_start());
  document.tokens.insert(document.tokens.end(), whole.begin(), whole.end());
  document.answer = std::min(context + 1, whole.size());
  const auto most = at(filling_.batch.length) + 1;  // the last token is a target only
  if (document.tokens.size() > most) {
    const std::size_t cut = document.tokens.size() - most;
    if (cut >= document.answer)
      throw Error(ErrorCode::kConfig, "an answer of {} tokens fills the model's sequence of {}: \"{}…\"",
                  document.tokens.size() - document.answer, filling_.batch.length,
                  choice.answer.substr(0, 40));
    document.tokens.erase(document.tokens.begin(),
                          document.tokens.begin() + static_cast<std::ptrdiff_t>(cut));
    document.answer -= cut;
  }
  return document;
}

/// Into the first sequence that has room; false: there is none.
bool Likelihood::place(std::size_t choice, const Document& document) {
  auto& [batch, filled, placed] = filling_;
  const std::size_t length = at(batch.length);
  const std::size_t size = document.tokens.size() - 1;
  const auto room = std::ranges::find_if(filled, [&](std::size_t full) { return full + size <= length; });
  if (room == filled.end()) return false;
  const std::size_t row = at(room - filled.begin()) * length;
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t t = row + *room + i;
    batch.tokens[t] = document.tokens[i];
    batch.targets[t] = i + 1 >= document.answer ? document.tokens[i + 1] : data::kMaskedTarget;
    batch.positions[t] = static_cast<std::int32_t>(i);
    batch.first_visible[t] = static_cast<std::int32_t>(*room);
  }
  placed.push_back({.choice = choice, .begin = row + *room + document.answer - 1, .end = row + *room + size});
  *room += size;
  return true;
}

/// The microbatch is full. When all workers have one, or none is left, they compute.
void Likelihood::end_turn(std::span<double> likelihoods, bool last) {
  if (turn_ == model_.rank()) std::swap(filling_, own_);
  clear(filling_);
  if (++turn_ < model_.world().size() && !last) return;
  compute_own(likelihoods);
  clear(own_);
  turn_ = 0;
}

/// A worker without a microbatch takes part in the others' collectives.
void Likelihood::compute_own(std::span<double> likelihoods) {
  const auto& [batch, filled, placed_documents] = own_;
  const auto sequences = std::ranges::count_if(filled, [](std::size_t full) { return full > 0; });
  const Shape shape{sequences * batch.length};
  model_.transformer().evaluate({.tokens = {batch.tokens.data(), shape},
                                 .targets = {batch.targets.data(), shape},
                                 .positions = {batch.positions.data(), shape},
                                 .first_visible = {batch.first_visible.data(), shape}},
                                model_.frozen_context(), model_.weights(),
                                std::span(token_nll_).first(at(shape.elements())), result_);
  for (const Placed& placed : placed_documents) {
    likelihoods[placed.choice] =
        -std::accumulate(token_nll_.begin() + static_cast<std::ptrdiff_t>(placed.begin),
                         token_nll_.begin() + static_cast<std::ptrdiff_t>(placed.end), 0.0);
  }
}

/// What no document fills are ends of text that see themselves only.
void Likelihood::clear(Microbatch& microbatch) const {
  auto& [batch, filled, placed] = microbatch;
  placed.clear();
  std::ranges::fill(filled, 0);
  std::ranges::fill(batch.tokens, tokenizer_.end_of_text());
  std::ranges::fill(batch.targets, data::kMaskedTarget);
  std::ranges::fill(batch.positions, 0);
  for (std::size_t t = 0; t < batch.first_visible.size(); ++t)
    batch.first_visible[t] = static_cast<std::int32_t>(t % at(batch.length));
}

}  // namespace troupe::tasks
