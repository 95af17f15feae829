#include "tests/model/group_run.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "model/parameters.h"
#include "model/transformer.h"

namespace troupe::model {
namespace {

std::vector<int> even_ranges(std::int64_t experts, int workers) {
  std::vector<int> begin;
  for (int rank = 0; rank <= workers; ++rank) begin.push_back(static_cast<int>(experts * rank / workers));
  return begin;
}

/// One worker's part of the step.
class Worker {
 public:
  Worker(const ModelOptions& options, const std::vector<reference::Batch>& lanes,
         const reference::FlatStep& step, int expert_lanes, const GroupLayout& layout,
         comm::Communicator& communicator, GroupRun& run)
      : options_(options),
        lanes_(lanes),
        step_(step),
        communicator_(communicator),
        run_(run),
        ranges_(even_ranges(options.moe.experts, layout.workers)),
        weights_(options, ranges_[rank()], ranges_[rank() + 1]),
        expert_gradients_(static_cast<std::size_t>(expert_lanes),
                          std::vector<float>(weights_.expert_values.size(), 0.0F)),
        model_(options, shape(), weights_.dense, weights_.experts,
               {communicator, layout::Placement(static_cast<std::size_t>(moe_layers(options)),
                                                layout::LayerPlacement::ranges(ranges_))},
               {layout.threads}) {}

  void compute() {
    const std::size_t size = static_cast<std::size_t>(communicator_.size());
    for (std::size_t first = 0; first < lanes_.size(); first += size) wave(first);
    store_expert_gradients();
  }

 private:
  [[nodiscard]] std::size_t rank() const { return static_cast<std::size_t>(communicator_.rank()); }
  [[nodiscard]] TransformerShape shape() const {
    return {reference::kVocab, lanes_[0].length, static_cast<std::int64_t>(lanes_[0].size())};
  }

  void wave(std::size_t first) {
    std::vector<int> lane_of_source;
    for (std::size_t source = 0; source < static_cast<std::size_t>(communicator_.size()); ++source) {
      lane_of_source.push_back(static_cast<int>((first + source) % expert_gradients_.size()));
    }
    const std::size_t lane = first + rank();
    const reference::Batch nothing;
    const bool idle = lane >= lanes_.size();
    const MicrobatchInput input = idle ? MicrobatchInput{} : reference::as_input(lanes_[lane]);
    std::vector<float> dense(weights_.dense_values.size(), 0.0F);
    std::fill(dense.begin(), dense.end(), 0.0F);
    const std::vector<TensorView> expert_spans(expert_gradients_.begin(), expert_gradients_.end());
    MicrobatchResult result = model_.make_result();
    const Weights weights{weights_.dense_values, weights_.expert_values};
    model_.forward_backward(input, step_.context(), weights,
                            {.dense = dense, .expert_lanes = expert_spans, .lane_of_source = lane_of_source},
                            result);

    const std::size_t tokens = idle ? 0 : lanes_[lane].size();
    std::vector<double> nll(tokens);
    MicrobatchResult evaluated = model_.make_result();
    std::vector<float> logits(idle || options_.objective.is_reward() ? 0 : reference::kVocab);
    if (!options_.objective.is_reward()) {
      model_.evaluate(input, step_.context(), weights, nll, evaluated);
      model_.logits_of_row(input, step_.context(), weights, static_cast<std::int64_t>(tokens) - 1, logits);
    }
    std::vector<PairScores> scores(input.pairs.size());
    if (options_.objective.compares()) model_.score(input, step_.context(), weights, scores, evaluated);
    if (idle) return;
    run_.dense[lane] = dense;
    run_.results[lane] = result;
    run_.scores[lane] = scores;
    run_.token_nll[lane] = nll;
    run_.last_logits[lane] = logits;
  }

  void store_expert_gradients() {
    const reference::Weights all(options_, 0, options_.moe.experts);
    for (std::size_t i = 0; i < weights_.experts.specs().size(); ++i) {
      const ParameterSpec& spec = weights_.experts.specs()[i];
      const std::size_t target = all.experts.find(spec.name, spec.expert);
      for (std::size_t lane = 0; lane < expert_gradients_.size(); ++lane) {
        std::ranges::copy(reference::tensor(weights_.experts, expert_gradients_[lane], i),
                          run_.expert_lanes[lane].begin() + all.experts.offset(target));
      }
    }
  }

  const ModelOptions& options_;
  const std::vector<reference::Batch>& lanes_;
  const reference::FlatStep& step_;
  comm::Communicator& communicator_;
  GroupRun& run_;
  std::vector<int> ranges_;
  reference::Weights weights_;
  std::vector<std::vector<float>> expert_gradients_;
  Transformer model_;
};

}  // namespace

GroupRun run_group(const ModelOptions& options, const std::vector<reference::Batch>& lanes,
                   const reference::Step& step, int expert_lanes, const GroupLayout& layout) {
  const reference::FlatStep flat(options, step);
  const reference::Weights all(options, 0, options.moe.experts);
  GroupRun run;
  run.dense.resize(lanes.size());
  run.results.resize(lanes.size());
  run.scores.resize(lanes.size());
  run.token_nll.resize(lanes.size());
  run.last_logits.resize(lanes.size());
  run.expert_lanes.assign(static_cast<std::size_t>(expert_lanes),
                          std::vector<float>(all.expert_values.size(), 0.0F));

  auto communicators = comm::make_inproc_group(layout.workers);
  std::vector<std::exception_ptr> failures(communicators.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < communicators.size(); ++rank) {
    threads.emplace_back([&, rank, communicator = std::move(communicators[rank])] {
      try {
        Worker(options, lanes, flat, expert_lanes, layout, *communicator, run).compute();
      } catch (...) {
        failures[rank] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return run;
}

}  // namespace troupe::model
