#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "layers/microbatch.h"
#include "model/options.h"
#include "tests/reference/plain_math.h"

/// The whole model once more, in fp64 and plain loops, in the order of the formulas and sharing no code
/// with the real one: the oracle of its gradients by central differences.
namespace troupe::reference {

/// Parameters by (name, expert); expert is -1 for dense ones. Row-major, linear weights [out, in].
using Parameters = std::map<std::pair<std::string, std::int64_t>, Values>;

struct Batch {
  std::int64_t sequences = 0;
  std::int64_t length = 0;
  std::vector<std::int32_t> tokens, targets, positions, first_visible;  // [sequences * length]
  std::vector<PreferencePair> pairs = {};                               // of an objective that compares
  std::int64_t first_token = 0;                                         // number in the run
  [[nodiscard]] std::size_t size() const { return tokens.size(); }
};

/// Constants of a step, as model::StepContext.
struct Step {
  std::int64_t target_tokens = 1;
  std::int64_t routed_tokens = 1;
  std::vector<Values> bias;                                // [moe layers][experts]
  std::vector<std::vector<std::int64_t>> previous_counts;  // [moe layers][experts]
  std::vector<std::vector<std::int64_t>> previous_unbiased_counts;
  std::vector<std::vector<std::int64_t>> running_counts;  // of the accumulation steps so far
  std::vector<std::vector<std::int64_t>> running_unbiased_counts;
  std::vector<std::vector<std::int64_t>> global_counts;  // of the batch
  std::vector<std::vector<std::int64_t>> global_unbiased_counts;
  std::int64_t sequence_length = 1;
  Values aux_coefficients;
  std::uint64_t seed = 0;        // of the router's random numbers,
  std::int64_t first_token = 0;  // keyed by the token's number in the run
  bool training = true;
};

/// Of an evaluation, which drops nothing.
[[nodiscard]] inline Step evaluation_step() {
  Step step;
  step.training = false;
  return step;
}

/// One layer's routing of a microbatch.
struct Routing {
  std::vector<std::vector<int>> candidates;  // [tokens][slots], what weights are normalised over
  std::vector<std::vector<int>> chosen;      // [tokens][slots], without empty slots
  std::vector<Values> weights;               // [tokens][slots], of the chosen
  std::vector<std::vector<bool>> admitted;   // [tokens][slots]: not dropped by a full expert
  std::vector<std::int64_t> counts, unbiased_counts;
  Values aux_loss;         // [aux losses], sums over tokens without coefficient
  double z_loss = 0.0;     // sum over tokens without coefficient
  double objective = 0.0;  // their part of the loss
};

struct Result {
  double loss = 0.0;  // what is differentiated
  double nll = 0.0;   // of pairs: the sum of their losses
  double log_z_squared = 0.0;
  double mtp_nll = 0.0;  // of all modules for multi-token prediction
  Values token_nll;
  std::vector<Values> logits;
  std::vector<Routing> routing;  // [moe layers]
  Values shortcut;               // what experts gave that is still to be added
};

struct AuxLossInput;  // reference_aux_loss.h

/// Of one layer's weights.
struct AttentionDrop {
  double rate = 0.0;
  std::int64_t layer = 0;
  Step step = {};
};

class Model {
 public:
  Model(const model::ModelOptions& options, std::int64_t vocab_size)
      : options_(options), vocab_(vocab_size) {}

  [[nodiscard]] Result run(const Parameters& parameters, const Batch& batch, const Step& step) const;

  // The layers, for tests of one alone. x: [tokens, hidden]; prefix: "layers/03/".
  [[nodiscard]] Values norm(const Values& weight, const Values& x) const;  // RMSNorm
  [[nodiscard]] Values attention(const Parameters& parameters, const std::string& prefix, const Batch& batch,
                                 const Values& x, const Step& step = {}) const;
  /// prefix: of the feed-forward, "layers/03/experts/"; expert: -1 for a dense one; step: where there is
  /// dropout, with the number of the first row as first_token
  [[nodiscard]] Values ffn(const Parameters& parameters, const std::string& prefix, std::int64_t expert,
                           const Values& x, const Step& step = evaluation_step()) const;
  [[nodiscard]] Values shared(const Parameters& parameters, const std::string& prefix, const Values& x,
                              const Step& step = evaluation_step()) const;
  /// fixed: a routing whose choice is taken over, so that central differences cannot change it.
  [[nodiscard]] Routing route(const Parameters& parameters, const std::string& prefix, const Values& x,
                              const Step& step, std::size_t moe_layer, const Routing* fixed = nullptr) const;
  [[nodiscard]] Values moe(const Parameters& parameters, const std::string& prefix, const Values& x,
                           const Routing& routing, const Step& step = evaluation_step()) const;

 private:
  [[nodiscard]] std::string prefix(std::int64_t layer) const;
  void admit(const std::vector<Values>& scores, Routing& routing) const;
  [[nodiscard]] double activate(double gate, double up) const;
  [[nodiscard]] std::vector<Values> router_logits(const Parameters& parameters, const std::string& prefix,
                                                  const Values& x, const Step& step,
                                                  std::int64_t layer) const;
  void choose(const std::vector<Values>& logits, const std::vector<Values>& scores, const Step& step,
              std::size_t moe_layer, std::int64_t layer, Routing& routing) const;
  void add_routing_losses(const AuxLossInput& input, Routing& routing) const;
  void compare(const Parameters& parameters, const Values& x, const Batch& batch, const Step& step,
               Result& result) const;
  [[nodiscard]] model::AttentionOptions mixer(std::int64_t layer) const;
  [[nodiscard]] Values norm(const Parameters& parameters, const std::string& folder, const Values& x) const;
  [[nodiscard]] Values latent_attention(const Parameters& parameters, const std::string& folder,
                                        const model::AttentionOptions& options, double scale,
                                        const Batch& batch, const Values& x, const AttentionDrop& drop) const;
  [[nodiscard]] Values gated(const Parameters& parameters, const std::string& folder,
                             const model::AttentionOptions& options, const Values& x, Values out) const;
  [[nodiscard]] double score_scale(const model::AttentionOptions& options) const;
  [[nodiscard]] Values dropped(Values x, double rate, std::int64_t place, const Step& step,
                               RandomPurpose purpose = RandomPurpose::kDropout, std::int64_t width = 0) const;
  [[nodiscard]] Values logits_of(const Parameters& parameters, const Values& x) const;
  [[nodiscard]] Values block(const Parameters& parameters, const std::string& prefix, std::int64_t layer,
                             const Values& x, const Batch& batch, const Step& step, Result& result) const;
  void predict_further(const Parameters& parameters, Values hidden, const Batch& batch, const Step& step,
                       Result& result) const;
  [[nodiscard]] Values feed(const Parameters& parameters, const std::string& prefix, std::int64_t layer,
                            const Values& x, const Step& step, Result& result) const;
  [[nodiscard]] Values branch(const Parameters& parameters, const std::string& name, const Values& x,
                              const std::function<Values(const Values&)>& body) const;
  void head(const Parameters& parameters, const Values& x, const Batch& batch, const Step& step,
            Result& result) const;

  model::ModelOptions options_;
  std::int64_t vocab_;
};

}  // namespace troupe::reference
