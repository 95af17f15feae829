#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/tokenizer/tokenizer.h"
#include "model/model.h"
#include "tasks/question.h"

namespace troupe::tasks {

/// How likely a model finds answers: many are packed into the sequences of a microbatch, each a document of
/// its own that sees nothing of the others. Collective over all workers, which compute the microbatches by
/// turns; the same bits for every number of them.
class Likelihood {
 public:
  /// Both must outlive it.
  Likelihood(model::Model& model, const data::Tokenizer& tokenizer);

  /// Σ log p of each answer's tokens after its context, nats, on every worker. What does not fit into the
  /// model's sequence is cut at the front of the context. Throws kConfig for an answer that fills the
  /// sequence.
  ///   progress: called with the number of choices that are done
  [[nodiscard]] std::vector<double> of(std::span<const Choice> choices,
                                       const std::function<void(std::size_t)>& progress = {});

 private:
  struct Document {
    std::vector<data::TokenId> tokens;  // start of a document, context, answer
    std::size_t answer = 0;             // index of its first token
  };
  /// Where a document lies in the microbatch.
  struct Placed {
    std::size_t choice = 0;
    std::size_t begin = 0;  // of its answer's targets
    std::size_t end = 0;
  };

  /// As many sequences as the model takes at once.
  struct Microbatch {
    data::Sequences batch;
    std::vector<std::size_t> filled;  // tokens of each sequence
    std::vector<Placed> placed;
  };

  [[nodiscard]] Microbatch make_microbatch() const;
  [[nodiscard]] Document document_of(const Choice& choice) const;
  [[nodiscard]] bool place(std::size_t choice, const Document& document);
  void end_turn(std::span<double> likelihoods, bool last);
  void compute_own(std::span<double> likelihoods);
  void clear(Microbatch& microbatch) const;

  model::Model& model_;
  const data::Tokenizer& tokenizer_;
  model::MicrobatchResult result_;
  Microbatch filling_;
  int turn_ = 0;    // whose that is
  Microbatch own_;  // this worker's of the present round, once it is full
  std::vector<double> token_nll_;
};

}  // namespace troupe::tasks
