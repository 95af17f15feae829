#include "workers/preferences/pair_scorer.h"

#include <numeric>

#include "base/index.h"
#include "workers/step/batch_loader.h"

namespace troupe::workers {

PairScorer::PairScorer(model::Model& model, const data::TokenDataset& dataset, const data::PairOrder& order)
    : model_(model),
      reader_(dataset, order, model.shape().sequence_length),
      result_(model.transformer().make_result()) {}

void PairScorer::score(std::int64_t first, std::int64_t count, const PairVisitor& visit) {
  if (count <= 0) {
    model_.transformer().score({}, model_.frozen_context(), model_.weights(), {}, result_);
    return;
  }
  numbers_.resize(at(count));
  std::iota(numbers_.begin(), numbers_.end(), first);
  const data::Sequences& sequences = reader_.read(numbers_);
  as_pairs(sequences, {}, pairs_);
  scores_.resize(pairs_.size());
  MicrobatchInput input = as_input(sequences);
  input.pairs = pairs_;
  input.first_token = first * sequences.length;
  model_.transformer().score(input, model_.frozen_context(), model_.weights(), scores_, result_);
  for (std::size_t i = 0; i < pairs_.size(); ++i)
    visit(sequences.pairs[i], sequences.pairs[i].chosen / sequences.length, scores_[i]);
}

}  // namespace troupe::workers
