#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/child_process.h"
#include "base/index.h"
#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/report.h"
#include "cli/arguments/this_process.h"
#include "cli/subcommands.h"
#include "comm/collectives/lane_reduction.h"
#include "comm/collectives/mpi/mpi_environment.h"
#include "comm/collectives/mpi/mpi_floor.h"
#include "coordinator/job/job_command.h"
#include "experts/dispatch/exchange.h"

namespace troupe::benchmarks {
namespace {

constexpr std::int64_t kRowFloats = 256;
constexpr std::int64_t kRowBytes = kRowFloats * 4;

struct AllToAllArguments {
  int ranks = 2;
  std::vector<std::int64_t> kib{4, 64, 256, 1024, 4096};
  double seconds = 0.3;
  bool json = false;
};

/// What is compared: the same bytes moved by us, in one or two ways, and by MPI alone.
struct Contest {
  std::vector<std::string> names;             // of ours
  std::vector<std::function<void()>> bodies;  // ours, then the floor
  double bytes = 0.0;                         // that this rank receives
};

/// Runs contests on every rank; all ranks get the same numbers.
class AllToAllBench {
 public:
  AllToAllBench(const comm::MpiEnvironment& environment, double seconds)
      : floor_(environment), job_(comm::make_mpi_communicator(environment)), repeats_{.seconds = seconds} {
    exchanges_.emplace_back("experts' exchange", experts::make_exchange(*job_, {}));
    if (size() >= 4 && size() % 2 == 0) {
      exchanges_.emplace_back(
          "in two steps, 2 nodes",
          experts::make_exchange(*job_, {.hierarchical = true, .workers_per_node = size() / 2}));
    }
  }

  /// rows: [size, size], of kRowBytes, from rank to rank
  void all_to_all(const std::string& what, const std::vector<std::int64_t>& rows) {
    const experts::RowTable table(rows, size(), /*back=*/false);
    std::vector<std::int64_t> sent, received;
    for (int peer = 0; peer < size(); ++peer) {
      sent.push_back(table(rank(), peer) * kRowBytes);
      received.push_back(table(peer, rank()) * kRowBytes);
    }
    const Tensor from = rows_of(sent);
    Tensor to = rows_of(received);
    const comm::SendBlocks send{experts::bytes_of(ConstTensorView(from)), sent};
    const comm::ReceiveBlocks receive{experts::bytes_of(TensorView(to)), received};
    Contest contest{.names = {}, .bodies = {}, .bytes = static_cast<double>(receive.data.size())};
    contest.names.push_back(what + ", all_to_all_v");
    contest.bodies.emplace_back([&] { job_->all_to_all_v(send, receive); });
    for (const auto& [name, exchange] : exchanges_) {
      contest.names.push_back(fmt::format("{}, {}", what, name));
      contest.bodies.emplace_back([&, &exchange = *exchange] {
        const ArenaScope scope(arena_);
        exchange.start(pass_, table, from, to).wait();
      });
    }
    contest.bodies.emplace_back([&] { floor_.all_to_all_v(send, receive); });
    run(contest);
  }

  void all_gather(std::int64_t bytes) {
    const std::vector<std::byte> mine(at(bytes));
    std::vector<std::byte> all(mine.size() * at(size()));
    const std::vector<std::int64_t> sizes(at(size()), bytes);
    run({.names = {fmt::format("{}, all_gather_v", text(bytes))},
         .bodies = {[&] {
                      job_->all_gather_v(mine, {all, sizes});
                    },
                    [&] {
                      floor_.all_gather_v(mine, {all, sizes});
                    }},
         .bytes = static_cast<double>(all.size())});
  }

  /// One lane on every rank, of which every rank sums a slice of `bytes`.
  void reduce(std::int64_t bytes) {
    const std::int64_t slice = bytes / 4;
    const std::vector<float> lane(at(slice * size()), 1.0F);
    std::vector<float> total(at(slice));
    std::vector<std::int64_t> borders;
    for (int rank = 0; rank <= size(); ++rank) borders.push_back(slice * rank);
    std::vector<float> scratch(at(comm::LaneExchange::scratch_for(size(), size(), borders)));
    const std::vector<std::span<const float>> lanes{lane};
    comm::LaneReduction reduction(*job_, size(), borders, std::ssize(scratch));
    run({.names = {fmt::format("{}, lane reduction", text(bytes))},
         .bodies = {[&] { (void)reduction.reduce({1}, lanes, scratch); },
                    [&] { floor_.reduce_scatter(lane, total); }},
         .bytes = static_cast<double>(bytes * size())});
  }

  [[nodiscard]] int rank() const { return job_->rank(); }
  [[nodiscard]] int size() const { return job_->size(); }
  [[nodiscard]] const std::vector<Measurement>& measurements() const { return measurements_; }

  [[nodiscard]] static std::string text(std::int64_t bytes) {
    return bytes < (1 << 20) ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
  }

 private:
  [[nodiscard]] static Tensor rows_of(const std::vector<std::int64_t>& bytes) {
    return Tensor({std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0}) / kRowBytes, kRowFloats});
  }

  /// In turn, each time another one first, so that all see the same machine.
  void run(const Contest& contest) {
    for (const auto& body : contest.bodies) body();
    std::vector<std::vector<double>> times(contest.bodies.size());
    const TimePoint begin = clock_.now();
    const auto more = [&] { return slowest(seconds(clock_.now() - begin)) < repeats_.seconds; };
    for (std::size_t round = 0; std::cmp_less(round, repeats_.least) || more(); ++round) {
      for (std::size_t turn = 0; turn < times.size(); ++turn) {
        const std::size_t i = (round + turn) % times.size();
        job_->barrier();
        const TimePoint start = clock_.now();
        contest.bodies[i]();
        times[i].push_back(slowest(seconds(clock_.now() - start)));
      }
    }
    const double floor = summarize(times.back()).median;
    for (std::size_t i = 0; i < contest.names.size(); ++i) {
      measurements_.push_back({.what = contest.names[i],
                               .seconds = summarize(times[i]),
                               .amount = contest.bytes * 1e-9,
                               .floor_seconds = floor});
    }
  }

  /// Of all ranks' seconds.
  [[nodiscard]] double slowest(double mine) {
    auto nanoseconds = static_cast<std::int64_t>(mine * 1e9);
    job_->all_reduce_max({&nanoseconds, 1});
    return static_cast<double>(nanoseconds) * 1e-9;
  }

  comm::MpiFloor floor_;
  std::unique_ptr<comm::Communicator> job_;
  Repeats repeats_;
  SystemClock clock_;
  Arena arena_{std::size_t{1} << 34};  // address space for the scratch of an exchange
  Pass pass_{.execution = {1}, .arena = arena_};
  std::vector<std::pair<std::string, std::unique_ptr<experts::Exchange>>> exchanges_;
  std::vector<Measurement> measurements_;
};

/// Every rank sends `bytes` to every rank; skewed: all of it to rank 0, a quarter to the others.
std::vector<std::int64_t> row_table(int size, std::int64_t bytes, bool skewed) {
  std::vector<std::int64_t> rows;
  for (int from = 0; from < size; ++from) {
    for (int to = 0; to < size; ++to) rows.push_back((skewed && to > 0 ? bytes / 4 : bytes) / kRowBytes);
  }
  return rows;
}

std::optional<std::string> refusal(std::int64_t largest, int ranks) {
  if (ranks < 2) return "one process has nobody to exchange with: mpirun -n 2 troupe bench all-to-all";
  if (largest * ranks <= std::numeric_limits<int>::max()) return std::nullopt;
  return fmt::format("--kib {}: with {} ranks this is more than MPI_Alltoallv can count, 2 GiB",
                     largest >> 10, ranks);
}

int measure(const AllToAllArguments& arguments) {
  const comm::MpiEnvironment environment;
  const std::int64_t largest = *std::ranges::max_element(arguments.kib) << 10;
  if (const auto reason = refusal(largest, environment.size())) {
    if (environment.rank() == 0) throw Error(ErrorCode::kConfig, "{}", *reason);
    return cli::kUsage;
  }
  AllToAllBench bench(environment, arguments.seconds);
  for (const std::int64_t kib : arguments.kib)
    bench.all_to_all(bench.text(kib << 10), row_table(bench.size(), kib << 10, /*skewed=*/false));
  bench.all_to_all(bench.text(largest) + " skewed", row_table(bench.size(), largest, /*skewed=*/true));
  bench.all_gather(largest);
  bench.reduce(largest);
  if (bench.rank() == 0) {
    print({.title = fmt::format("bytes to every rank from every rank, {} ranks; the slowest rank's time",
                                bench.size()),
           .unit = "GB/s",
           .floor = "MPI's own",
           .measurements = bench.measurements(),
           .facts = {{"ranks", static_cast<double>(bench.size())}}},
          arguments.json);
  }
  return cli::kSuccess;
}

/// By mpirun, as `troupe train` starts its workers.
[[noreturn]] void start_ranks(const AllToAllArguments& arguments) {
  std::vector<std::string> command{
      cli::program_path(), "bench", "all-to-all", "--seconds", fmt::format("{}", arguments.seconds), "--kib"};
  for (const std::int64_t kib : arguments.kib) command.push_back(std::to_string(kib));
  if (arguments.json) command.emplace_back("--json");
  coordinator::JobOptions job{.command = command, .workers = arguments.ranks, .launch = {}};
  job.cores = cli::available_cores();
  job.whole_cores = cli::whole_cores();
  job.is_root = cli::runs_as_root();
  execute(coordinator::build_job_command(job));
}

int bench_all_to_all(const AllToAllArguments& arguments) {
  if (!comm::MpiEnvironment::launched_by_mpi()) start_ranks(arguments);
  return measure(arguments);
}

}  // namespace

void add_bench_all_to_all(CLI::App& bench, Action& action) {
  auto* subcommand = bench.add_subcommand(
      "all-to-all", "Exchanges between workers over MPI, each beside MPI's own collective of the same bytes");
  const auto arguments = std::make_shared<AllToAllArguments>();
  subcommand->add_option("--ranks", arguments->ranks, "Processes to start; not under mpirun")
      ->check(CLI::Range(2, 4096));
  subcommand->add_option("--kib", arguments->kib, "KiB from every rank to every rank")
      ->check(CLI::Range(4, 1 << 18))
      ->expected(1, 64);
  subcommand->add_option("--seconds", arguments->seconds, "For every line, at least 5 repeats")
      ->check(CLI::Range(0.0, 600.0));
  subcommand->add_flag("--json", arguments->json, "Machine-readable");
  subcommand->footer(
      "Examples:\n"
      "  troupe bench all-to-all --ranks 4 --kib 64 1024\n"
      "  mpirun -n 8 --hostfile hosts troupe bench all-to-all --json");
  subcommand->callback(
      [arguments, &action] { action = [arguments] { return bench_all_to_all(*arguments); }; });
}

}  // namespace troupe::benchmarks
