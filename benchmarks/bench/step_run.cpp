#include "benchmarks/bench/step_run.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "base/index.h"
#include "benchmarks/bench/gemm.h"
#include "benchmarks/bench/synthetic_corpus.h"
#include "cli/arguments/this_process.h"
#include "cli/run/device_choice.h"
#include "cli/run/training_setup.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/layout_choice.h"
#include "model/cost.h"
#include "tensor/parallel.h"
#include "workers/peak_flops.h"

namespace troupe::benchmarks {
namespace {

/// Calls body(0) … body(count - 1), each on a thread and on cores of its own when there are several;
/// rethrows.
void run_workers(int count, int threads_of_each, const std::function<void(int)>& body) {
  if (count == 1) return body(0);
  std::vector<std::exception_ptr> failures(at(count));
  {
    std::vector<std::jthread> threads;
    for (int worker = 0; worker < count; ++worker) {
      threads.emplace_back([&, worker] {
        try {
          use_one_library_thread();
          cli::take_own_cores(worker, count, threads_of_each);
          body(worker);
        } catch (...) {
          failures[at(worker)] = std::current_exception();
        }
      });
    }
  }
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

workers::TrainingOptions options_of(const std::string& name, const configs::RunConfig& config,
                                    std::int64_t steps, bool counts_ops) {
  if (!config.model.vocab_size) {
    throw Error(ErrorCode::kConfig, "{}: a benchmark needs a number for model.vocab_size", name);
  }
  workers::TrainingOptions options = cli::training_options(config, *config.model.vocab_size);
  options.steps = steps + 1;
  options.profile_ops = counts_ops;
  return options;
}

layout::Layout layout_of(const configs::RunConfig& config, const workers::TrainingOptions& options,
                         int workers) {
  const auto expert_parallel = config.parallel.expert_parallel.value_or(workers);
  return {options.batch, workers, static_cast<int>(expert_parallel),
          static_cast<int>(options.model.moe.experts)};
}

double sum(const PhaseSeconds& seconds) { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }

}  // namespace

struct StepRun::Worker {
  Worker(const configs::RunConfig& config, const workers::TrainingOptions& options,
         const layout::Layout& layout, std::unique_ptr<comm::Communicator> communicator,
         const data::TokenDataset& dataset, const data::BatchOrder& order, const Clock& clock)
      : world(std::move(communicator)),
        accelerator(cli::make_worker_device(config, *world)),
        model(workers::model_setup(options, layout, std::ssize(dataset.header().domain_names),
                                   accelerator.get()),
              layout, *world, clock),
        trainer(options, model, dataset, order) {
    model.initialize();
  }

  std::unique_ptr<comm::Communicator> world;
  std::unique_ptr<Accelerator> accelerator;  // none: the host
  model::Model model;
  workers::Trainer trainer;
};

double StepRun::CountedStep::total() const { return sum(seconds); }

StepRun::StepRun(std::string name, const configs::RunConfig& config, std::int64_t steps, bool counts_ops,
                 const Clock& clock)
    : name_(std::move(name)),
      options_(options_of(name_, config, steps, counts_ops)),
      worker_count_(static_cast<int>(config.parallel.workers.value_or(1))),
      clock_(clock) {
  use_one_library_thread();
  {
    const SyntheticCorpus corpus(options_.vocab_size, options_.data.sequence_length,
                                 options_.batch.sequences() * options_.steps);
    dataset_ = std::make_unique<data::TokenDataset>(corpus.file());  // keeps the file open
  }
  order_ = std::make_unique<data::BatchOrder>(*dataset_, options_.data.sequence_length, options_.seed);
  auto group = comm::make_inproc_group(worker_count_);
  workers_.resize(group.size());
  const layout::Layout layout = layout_of(config, options_, worker_count_);
  run_workers(worker_count_, options_.threads, [&](int rank) {
    const auto index = at(rank);
    workers_[index] = std::make_unique<Worker>(config, options_, layout, std::move(group[index]), *dataset_,
                                               *order_, clock_);
  });
}

StepRun::~StepRun() = default;

void StepRun::measure_peak() {
  std::vector<double> peaks(at(worker_count_));
  run_workers(worker_count_, options_.threads, [&](int worker) {
    Accelerator* accelerator = workers_[at(worker)]->accelerator.get();
    peaks[at(worker)] = accelerator == nullptr ? peak_flops(measure_gemm(options_.threads, clock_))
                                               : workers::device_gemm_flops(*accelerator, clock_);
  });
  peak_ = std::max(peak_, std::accumulate(peaks.begin(), peaks.end(), 0.0));
}

void StepRun::step() {
  run_workers(worker_count_, options_.threads, [&](int rank) {
    const auto& result = workers_[at(rank)]->trainer.step({});
    if (rank != 0) return;
    loss_ = result.loss;
    if (warm_) counted_.push_back({result.seconds, workers_.front()->model.profile()});
  });
  warm_ = true;
}

const StepRun::CountedStep& StepRun::median_step() const {
  TROUPE_CHECK(!counted_.empty(), "{}: no step was counted", name_);
  std::vector<const CountedStep*> order;
  for (const CountedStep& step : counted_) order.push_back(&step);
  std::ranges::sort(order, {}, [](const CountedStep* step) { return step->total(); });
  return *order[order.size() / 2];
}

double StepRun::median_seconds() const { return median_step().total(); }

Measurement StepRun::measurement() const {
  std::vector<double> totals;
  for (const CountedStep& step : counted_) totals.push_back(step.total());
  const std::int64_t tokens = options_.batch.sequences() * options_.data.sequence_length;
  const double flop =
      static_cast<double>(tokens) *
      model::training_flops_per_token(options_.model, options_.vocab_size, options_.data.sequence_length);
  return {.what = name_,
          .seconds = summarize(totals),
          .amount = static_cast<double>(tokens),
          .floor_seconds = flop / peak_};
}

double StepRun::mfu() const { return measurement().floor_seconds / median_seconds(); }

double StepRun::activation_bytes() const {
  return static_cast<double>(workers_.front()->model.transformer().activation_peak_bytes());
}

std::vector<Part> StepRun::parts() const {
  const CountedStep& step = median_step();
  const double all = step.total() * options_.threads;
  std::vector<Part> parts;
  for (std::size_t phase = 0; phase < kPhaseNames.size(); ++phase) {
    double left = step.seconds[phase] * options_.threads;
    for (std::size_t op = 0; op < kOpNames.size(); ++op) {
      const OpWork work = step.profile.work(static_cast<Phase>(phase), static_cast<OpKind>(op));
      if (work.calls == 0) continue;
      left -= work.thread_seconds;
      parts.push_back({.name = std::string(kPhaseNames[phase]) + " " + kOpNames[op],
                       .seconds = work.thread_seconds,
                       .share = work.thread_seconds / all,
                       .calls = work.calls,
                       .rate = work.flop * 1e-9 / work.thread_seconds});
    }
    parts.push_back({.name = std::string(kPhaseNames[phase]) + " rest",
                     .seconds = left,
                     .share = left / all,
                     .calls = 0,
                     .rate = 0.0});
  }
  return parts;
}

/// Router, sorting, exchange and combine, and what the experts do beside their products.
double StepRun::share_beside_expert_products() const {
  const CountedStep& step = median_step();
  double beside = 0.0;
  for (const Phase phase : {Phase::kRouter, Phase::kDispatch, Phase::kCombine, Phase::kExpert}) {
    beside += step.seconds[at(phase)];
  }
  beside -= step.profile.work(Phase::kExpert, OpKind::kGemm).thread_seconds / options_.threads;
  return beside / step.total();
}

std::vector<Fact> StepRun::facts(const std::string& prefix) const {
  const CountedStep& step = median_step();
  OpWork products;
  for (std::size_t phase = 0; phase < kPhaseNames.size(); ++phase) {
    const OpWork work = step.profile.work(static_cast<Phase>(phase), OpKind::kGemm);
    products.thread_seconds += work.thread_seconds;
    products.flop += work.flop;
  }
  const double gemm_seconds = std::max(products.thread_seconds, 1e-9);  // 0 where ops are not counted
  return {{prefix + "workers", static_cast<double>(worker_count_)},
          {prefix + "threads", static_cast<double>(options_.threads)},
          {prefix + "peak_gflops", peak_ * 1e-9},
          {prefix + "step_gflop", measurement().floor_seconds * peak_ * 1e-9},
          {prefix + "mfu", mfu()},
          {prefix + "gemm_share", products.thread_seconds / options_.threads / step.total()},
          {prefix + "gemm_gflops", products.flop * 1e-9 / gemm_seconds * options_.threads},
          {prefix + "moe_beside_expert_gemm_share", share_beside_expert_products()},
          {prefix + "activation_bytes", activation_bytes()},
          {prefix + "loss", loss_}};
}

}  // namespace troupe::benchmarks
