#include "tasks/likelihood.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/index.h"

namespace troupe::tasks {

Likelihood::Likelihood(model::Model& model, const data::Tokenizer& tokenizer)
    : model_(model), tokenizer_(tokenizer), result_(model.transformer().make_result()) {
  batch_.length = model.shape().sequence_length;
  batch_.count = model.shape().max_tokens / batch_.length;
  const auto tokens = at(model.shape().max_tokens);
  for (auto* column : {&batch_.tokens, &batch_.targets, &batch_.positions, &batch_.first_visible})
    column->resize(tokens);
  filled_.resize(at(batch_.count));
  token_nll_.resize(tokens);
  clear();
}

std::vector<double> Likelihood::of(std::span<const Choice> choices,
                                   const std::function<void(std::size_t)>& progress) {
  std::vector<double> likelihoods(choices.size());
  for (std::size_t choice = 0; choice < choices.size(); ++choice) {
    const Document document = document_of(choices[choice]);
    if (place(choice, document)) continue;
    compute(likelihoods);
    if (progress) progress(choice);
    const bool fits = place(choice, document);
    TROUPE_CHECK(fits, "a document of {} tokens does not fit into an empty microbatch",
                 document.tokens.size());
  }
  compute(likelihoods);
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
  const auto most = at(batch_.length) + 1;  // the last token is a target only
  if (document.tokens.size() > most) {
    const std::size_t cut = document.tokens.size() - most;
    if (cut >= document.answer)
      throw Error(ErrorCode::kConfig, "an answer of {} tokens fills the model's sequence of {}: \"{}…\"",
                  document.tokens.size() - document.answer, batch_.length, choice.answer.substr(0, 40));
    document.tokens.erase(document.tokens.begin(),
                          document.tokens.begin() + static_cast<std::ptrdiff_t>(cut));
    document.answer -= cut;
  }
  return document;
}

/// Into the first sequence that has room; false: there is none.
bool Likelihood::place(std::size_t choice, const Document& document) {
  const std::size_t size = document.tokens.size() - 1;
  const auto room =
      std::ranges::find_if(filled_, [&](std::size_t filled) { return filled + size <= at(batch_.length); });
  if (room == filled_.end()) return false;
  const std::size_t row = at(room - filled_.begin()) * at(batch_.length);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t t = row + *room + i;
    batch_.tokens[t] = document.tokens[i];
    batch_.targets[t] = i + 1 >= document.answer ? document.tokens[i + 1] : data::kMaskedTarget;
    batch_.positions[t] = static_cast<std::int32_t>(i);
    batch_.first_visible[t] = static_cast<std::int32_t>(*room);
  }
  placed_.push_back(
      {.choice = choice, .begin = row + *room + document.answer - 1, .end = row + *room + size});
  *room += size;
  return true;
}

/// Of all that was placed, and nothing is placed any more.
void Likelihood::compute(std::span<double> likelihoods) {
  if (placed_.empty()) return;
  const auto sequences = std::ranges::count_if(filled_, [](std::size_t filled) { return filled > 0; });
  const Shape shape{sequences * batch_.length};
  model_.transformer().evaluate({.tokens = {batch_.tokens.data(), shape},
                                 .targets = {batch_.targets.data(), shape},
                                 .positions = {batch_.positions.data(), shape},
                                 .first_visible = {batch_.first_visible.data(), shape}},
                                model_.frozen_context(), model_.weights(),
                                std::span(token_nll_).first(at(shape.elements())), result_);
  for (const Placed& placed : placed_) {
    likelihoods[placed.choice] =
        -std::accumulate(token_nll_.begin() + static_cast<std::ptrdiff_t>(placed.begin),
                         token_nll_.begin() + static_cast<std::ptrdiff_t>(placed.end), 0.0);
  }
  clear();
}

/// What no document fills are ends of text that see themselves only.
void Likelihood::clear() {
  placed_.clear();
  std::ranges::fill(filled_, 0);
  std::ranges::fill(batch_.tokens, tokenizer_.end_of_text());
  std::ranges::fill(batch_.targets, data::kMaskedTarget);
  std::ranges::fill(batch_.positions, 0);
  for (std::size_t t = 0; t < batch_.first_visible.size(); ++t)
    batch_.first_visible[t] = static_cast<std::int32_t>(t % at(batch_.length));
}

}  // namespace troupe::tasks
