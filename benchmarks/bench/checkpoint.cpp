#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <future>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "base/random.h"
#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/report.h"
#include "cli/run/training_setup.h"
#include "cli/subcommands.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/load.h"
#include "model/model.h"
#include "storage/checkpoint_store.h"
#include "tensor/parallel.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/checkpoint/checkpoint_saver.h"

namespace troupe::benchmarks {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{8} << 20;

struct CheckpointArguments {
  std::string config = "configs/benchmarks/moe_step.yaml";
  std::vector<std::string> overrides;
  std::string folder = std::filesystem::temp_directory_path().string();
  int repeats = 5;
  int threads = 1;
  bool json = false;
};

/// A folder of this process inside another; removed at the end.
class BenchFolder {
 public:
  explicit BenchFolder(const std::filesystem::path& parent)
      : path_(parent / ("troupe-bench-" + std::to_string(::getpid()))) {
    storage::make_folders(path_);
  }
  ~BenchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The control plane of a trainer that saves: waits for its reports.
class SaveReports final : public workers::RunControl {
 public:
  std::int64_t newest_plan_version() override { return 0; }
  comm::StepPlan plan(std::int64_t /*version*/) override { return {}; }
  bool stop_requested() override { return false; }
  void set_activity(std::int64_t /*step*/, const std::string& /*activity*/) override {}
  void report(comm::WorkerMessage message) override {
    written_.set_value(std::get<comm::ShardWritten>(std::move(message)));
  }
  /// The next one's.
  comm::ShardWritten wait() {
    comm::ShardWritten shard = written_.get_future().get();
    written_ = {};
    if (!shard.error.empty()) throw Error(ErrorCode::kIo, "{}", shard.error);
    return shard;
  }

 private:
  std::promise<comm::ShardWritten> written_;
};

/// The whole state of a run on one worker, with moments as of a run that is under way.
struct WorkerState {
  explicit WorkerState(const workers::TrainingOptions& options)
      : layout(options.batch, 1, 1, static_cast<int>(options.model.moe.experts)),
        model(workers::model_setup(options, layout, 0), layout, *world, clock),
        state(options, model) {
    model.initialize();
    const Random random(options.seed, RandomPurpose::kTest);
    std::uint64_t index = 0;
    for (auto* adamw : {&state.dense_adamw, &state.expert_adamw}) {
      for (const auto moment : {adamw->first_moment(), adamw->second_moment()}) {
        for (float& value : moment) value = static_cast<float>(random.uniform(index++));
      }
    }
  }
  /// As one piece of memory.
  [[nodiscard]] std::vector<std::byte> bytes() {
    std::vector<std::byte> all;
    with_shards(model, state, [&](std::span<const storage::TensorShard> shards) {
      for (const auto& shard : shards) all.insert(all.end(), shard.data.begin(), shard.data.end());
    });
    return all;
  }

  SystemClock clock;
  std::unique_ptr<comm::Communicator> world = std::move(comm::make_inproc_group(1).front());
  layout::Layout layout;
  model::Model model;
  workers::TrainingState state;
};

void copy(const Execution& execution, std::span<const std::byte> from, std::span<std::byte> to) {
  parallel_for_blocks(execution, std::ssize(from), kPieceBytes, [&](std::int64_t first, std::int64_t last) {
    std::memcpy(to.data() + first, from.data() + first, at(last - first));
  });
}

/// What `dd bs=8M conv=fsync` does.
void write_plainly(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  FileDescriptor file = FileDescriptor::open(path, O_WRONLY | O_CREAT | O_TRUNC);
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(bytes.size(), kPieceBytes))) {
    write_all(file, bytes.first(std::min(bytes.size(), kPieceBytes)), path);
  }
  if (::fsync(file.get()) != 0) throw io_error("cannot fsync " + path.string());
  file.close();
}

void read_plainly(const std::filesystem::path& path, std::span<std::byte> piece) {
  const FileDescriptor file = FileDescriptor::open(path, O_RDONLY);
  while (storage::read_piece(file, piece, path) > 0) continue;
}

/// Seconds of every repeat.
struct Times {
  std::vector<double> copy, stall, plain_write, write, save, plain_read, load;
};

class CheckpointBench {
 public:
  CheckpointBench(WorkerState& worker, const std::filesystem::path& folder)
      : worker_(worker),
        folder_(folder),
        execution_{worker.model.execution().threads},
        bytes_(worker.bytes()),
        copy_(bytes_.size()),
        saver_(folder / "saved", 0, storage_thread_, reports_) {
    saver_.prepare(worker.model, worker.state);
    (void)stall();
    commit();
  }

  /// Each once, so that all see the same machine.
  void repeat() {
    times_.copy.push_back(time([&] { copy(execution_, bytes_, copy_); }));
    times_.stall.push_back(stall());
    times_.plain_write.push_back(time([&] { write_plainly(plain_, bytes_); }));
    save();
    times_.plain_read.push_back(time_cold(
        plain_, [&] { read_plainly(plain_, std::span(copy_).first(std::min(copy_.size(), kPieceBytes))); }));
    times_.load.push_back(time_cold(checkpoint_ / storage::shard_file_name(0), [&] { load(); }));
  }

  [[nodiscard]] const Times& times() const { return times_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }

 private:
  template <class Body>
  double time(const Body& body) {
    const TimePoint start = clock_.now();
    body();
    return seconds(clock_.now() - start);
  }
  /// With a file that is not in memory.
  template <class Body>
  double time_cold(const std::filesystem::path& file, const Body& body) {
    storage::drop_from_cache(file);
    return time(body);
  }

  /// What a trainer waits for when it saves.
  double stall() {
    const double stall = time([&] { saver_.save(worker_.model, worker_.state); });
    written_ = reports_.wait();
    return stall;
  }

  void save() {
    TimePoint synced;
    const TimePoint start = clock_.now();
    storage_thread_.run([&] {
      with_shards(worker_.model, worker_.state, [&](std::span<const storage::TensorShard> shards) {
        (void)storage::write_shard_file(folder_ / "written", 0, shards, [&] { synced = clock_.now(); });
      });
    });
    times_.save.push_back(seconds(clock_.now() - start));
    times_.write.push_back(seconds(synced - start));
  }

  /// Makes the first save a checkpoint, to be loaded.
  void commit() {
    storage_thread_.run([&] {
      checkpoint_ = storage::CheckpointStore(folder_ / "saved")
                        .commit({}, {storage::parse_shard_description(written_.description)});
    });
  }

  void load() {
    storage_thread_.run([&] {
      storage::CheckpointReader reader(checkpoint_);
      load_owned(reader, worker_.model, worker_.state);  // of one worker: all
    });
  }

  SystemClock clock_;
  WorkerState& worker_;
  std::filesystem::path folder_;
  std::filesystem::path plain_ = folder_ / "plain";
  Execution execution_;
  std::vector<std::byte> bytes_;
  std::vector<std::byte> copy_;
  workers::StorageThread storage_thread_;
  SaveReports reports_;
  comm::ShardWritten written_;  // the last
  workers::CheckpointSaver saver_;
  std::filesystem::path checkpoint_;
  Times times_;
};

Report make_report(const Times& times, std::size_t bytes, const CheckpointArguments& arguments) {
  const double gigabytes = static_cast<double>(bytes) * 1e-9;
  const Timing copy = summarize(times.copy);
  const Timing write = summarize(times.plain_write);
  const Timing read = summarize(times.plain_read);
  const auto line = [&](const char* what, const Timing& timing, double floor = 0.0) {
    return Measurement{.what = what, .seconds = timing, .amount = gigabytes, .floor_seconds = floor};
  };
  const Timing stall = summarize(times.stall);
  const Timing synced = summarize(times.write);
  return {.title = fmt::format("the state of {} on one worker, {} threads, in {}", arguments.config,
                               arguments.threads, arguments.folder),
          .unit = "GB/s",
          .floor = "plain",
          .measurements = {line("plain copy in memory", copy), line("stall of a save", stall, copy.median),
                           line("plain write, fsync", write), line("write, fsync", synced, write.median),
                           line("write, fsync, read back", summarize(times.save), write.median),
                           line("plain read", read), line("load", summarize(times.load), read.median)},
          .facts = {{"bytes", static_cast<double>(bytes)},
                    {"stall_to_copy", stall.median / copy.median},
                    {"write_rate_of_plain", write.median / synced.median}}};
}

int bench_checkpoint(const CheckpointArguments& arguments) {
  use_one_library_thread();
  const configs::RunConfig config = configs::load_config(arguments.config, arguments.overrides);
  if (!config.model.vocab_size) {
    throw Error(ErrorCode::kConfig, "{}: a benchmark needs a number for model.vocab_size", arguments.config);
  }
  workers::TrainingOptions options = cli::training_options(config, *config.model.vocab_size);
  options.threads = arguments.threads;
  const BenchFolder folder(arguments.folder);
  WorkerState worker(options);
  CheckpointBench bench(worker, folder.path());
  for (int i = 0; i < arguments.repeats; ++i) bench.repeat();
  print(make_report(bench.times(), bench.bytes(), arguments), arguments.json);
  return cli::kSuccess;
}

}  // namespace

void add_bench_checkpoint(CLI::App& bench, Action& action) {
  auto* checkpoint = bench.add_subcommand(
      "checkpoint", "Saving and loading a run's state: the trainer's stall, rates of files");
  const auto arguments = std::make_shared<CheckpointArguments>();
  checkpoint->add_option("--config", arguments->config, "Whose state")->capture_default_str();
  checkpoint->add_option("--set", arguments->overrides, "KEY=VALUE, instead of the file's")->take_all();
  checkpoint->add_option("--folder", arguments->folder, "Where to write; what is written is removed")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  checkpoint->add_option("--repeats", arguments->repeats, "Repeats")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  checkpoint->add_option("--threads", arguments->threads, "CPU threads that copy")
      ->check(CLI::Range(1, 1024));
  checkpoint->add_flag("--json", arguments->json, "Machine-readable");
  checkpoint->footer("Example:\n  troupe bench checkpoint --set model.layers=2 --folder /data --json");
  checkpoint->callback(
      [arguments, &action] { action = [arguments] { return bench_checkpoint(*arguments); }; });
}

}  // namespace troupe::benchmarks
