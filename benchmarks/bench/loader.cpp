#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/report.h"
#include "cli/subcommands.h"
#include "data/batch_order.h"
#include "data/corpus/temporary_folder.h"
#include "data/token_file_writer.h"
#include "workers/step/batch_loader.h"

namespace troupe::benchmarks {
namespace {

constexpr std::int64_t kVocabulary = 8192;
constexpr std::int64_t kDocument = 1024;  // tokens
constexpr std::uint64_t kSeed = 1;

struct LoaderBenchArguments {
  std::int64_t megabytes = 64;  // of tokens, two bytes each
  std::int64_t length = 512;
  layout::BatchShape batch{.accumulation_steps = 4, .grad_lanes = 1, .expert_lanes = 1, .micro_batch = 4};
  int compute_milliseconds = 50;
  int repeats = 20;
  bool json = false;
};

/// Documents of equal length, on disk when this returns.
data::TokenDataset write_tokens(const std::filesystem::path& file, std::int64_t count) {
  data::TokenFileHeader header{.domain_names = {"synthetic"},
                               .tokenizer_hash = "synthetic",
                               .vocab_size = kVocabulary,
                               .end_of_text = 0,
                               .begin_of_text = data::kNoToken,
                               .token_bytes = std::vector<std::int32_t>(kVocabulary, 4),
                               .document_offsets = {0},
                               .document_domains = {}};
  std::vector<std::int32_t> tokens;
  for (std::int64_t end = kDocument; end <= count; end += kDocument) {
    for (std::int64_t i = 0; i < kDocument; ++i)
      tokens.push_back(static_cast<std::int32_t>((end + i) % kVocabulary));
    header.document_offsets.push_back(end);
    header.document_domains.push_back(0);
  }
  data::write_token_file(file, header, tokens);
  return data::TokenDataset(file);
}

/// Loads global batches as a worker does that has all lanes.
class LoaderBench {
 public:
  explicit LoaderBench(const LoaderBenchArguments& arguments)
      : arguments_(arguments),
        folder_(std::filesystem::temp_directory_path() / fmt::format("troupe-bench-loader-{}", ::getpid())),
        dataset_(write_tokens(folder_.path() / data::kTrainFile, arguments.megabytes * 1'000'000 / 2)),
        order_(dataset_, arguments.length, kSeed),
        loader_(dataset_, order_, arguments.length, /*document_mask=*/true, arguments.batch),
        file_(FileDescriptor::open(dataset_.path(), O_RDONLY)),
        buffer_(at(arguments.length + 1)) {}

  Report run() {
    const double tokens = static_cast<double>(arguments_.batch.sequences() * arguments_.length);
    const Timing floor = measure([&] { ++step_; }, [&] { read_step(); });
    const Timing memory = measure([&] { ++step_; }, [&] { load_step(); });
    const Timing disk_floor = measure([&] { forget_file(), ++step_; }, [&] { read_step(); });
    // The step after the one before is on its way to memory: another one.
    const Timing disk = measure([&] { forget_file(), step_ += 2; }, [&] { load_step(); });
    const Timing ahead = measure([&] { load_step_before(); }, [&] { load_step(); });
    return {
        .title = fmt::format("a step's {} sequences of {} tokens in microbatches of {}, from {} MB of tokens",
                             arguments_.batch.sequences(), arguments_.length, arguments_.batch.micro_batch,
                             arguments_.megabytes),
        .unit = "Mtoken/s",
        .floor = "pread, cached",
        .measurements = {{"pread of as many bytes, cached", floor, tokens * 1e-6, floor.median},
                         {"pread of as many bytes, not cached", disk_floor, tokens * 1e-6, floor.median},
                         {"load, cached", memory, tokens * 1e-6, floor.median},
                         {"load, not cached, nor read ahead", disk, tokens * 1e-6, floor.median},
                         {fmt::format("load, read ahead, {} ms after the step before",
                                      arguments_.compute_milliseconds),
                          ahead, tokens * 1e-6, floor.median}},
        .facts = {{"step_tokens", tokens}}};
  }

 private:
  template <class Prepare, class Body>
  Timing measure(const Prepare& prepare, const Body& body) {
    std::vector<double> times;
    for (int i = 0; i < arguments_.repeats; ++i) {
      prepare();
      const TimePoint start = clock_.now();
      body();
      times.push_back(seconds(clock_.now() - start));
    }
    return summarize(std::move(times));
  }

  void load_step() {
    const std::int64_t first = step_ * arguments_.batch.sequences();
    for (std::int64_t i = 0; i < arguments_.batch.sequences(); i += arguments_.batch.micro_batch) {
      static_cast<void>(loader_.load(first + i));
    }
  }

  void read_step() {
    const std::int64_t first = step_ * arguments_.batch.sequences();
    for (std::int64_t i = 0; i < arguments_.batch.sequences(); ++i) {
      pieces_.clear();
      order_.append_pieces(first + i, pieces_);
      for (const data::TokenPiece& piece : pieces_) read_piece(piece);
    }
  }

  void read_piece(const data::TokenPiece& piece) {
    const std::size_t bytes = at(piece.count) * sizeof buffer_[0];
    const ssize_t got = ::pread(file_.get(), buffer_.data(), bytes, piece.first * 2);
    if (got < 0) throw io_error("cannot read " + dataset_.path().string());
    TROUPE_CHECK(at(got) == bytes, "{} of {} bytes read", got, bytes);
  }

  /// Drops the file from memory, save what is being read.
  void forget_file() {
    const int error = ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED);
    if (error != 0) throw Error(ErrorCode::kIo, "cannot drop the file from memory: error {}", error);
  }

  /// From disk; what the next step needs is read ahead while this thread sleeps instead of computing.
  void load_step_before() {
    forget_file();
    ++step_;
    load_step();
    std::this_thread::sleep_for(std::chrono::milliseconds(arguments_.compute_milliseconds));
    ++step_;
  }

  const LoaderBenchArguments& arguments_;
  SystemClock clock_;
  data::TemporaryFolder folder_;
  data::TokenDataset dataset_;
  data::BatchOrder order_;
  workers::BatchLoader loader_;
  FileDescriptor file_;
  std::vector<std::uint16_t> buffer_;  // [length + 1]
  std::vector<data::TokenPiece> pieces_;
  std::int64_t step_ = 0;
};

int bench_loader(const LoaderBenchArguments& arguments) {
  print(LoaderBench(arguments).run(), arguments.json);
  return cli::kSuccess;
}

}  // namespace

void add_bench_loader(CLI::App& bench, Action& action) {
  auto* loader =
      bench.add_subcommand("loader", "Reading a step's tokens: from memory, from disk, read ahead");
  const auto arguments = std::make_shared<LoaderBenchArguments>();
  const auto add = [&](const char* name, auto& value, const char* help, int least, int most) {
    loader->add_option(name, value, help)->capture_default_str()->check(CLI::Range(least, most));
  };
  add("--megabytes", arguments->megabytes, "Size of the token file that is made", 8, 65536);
  add("--length", arguments->length, "Tokens of a sequence", 2, 1 << 16);
  add("--micro-batch", arguments->batch.micro_batch, "Sequences of a microbatch", 1, 1024);
  add("--accumulation-steps", arguments->batch.accumulation_steps, "Microbatches of a step", 1, 1024);
  add("--compute-ms", arguments->compute_milliseconds, "Milliseconds between two steps' loads", 0, 10000);
  add("--repeats", arguments->repeats, "Measurements of each", 1, 1000);
  loader->add_flag("--json", arguments->json, "Machine-readable");
  loader->footer(
      "Example:\n  troupe bench loader --length 2048 --micro-batch 1 --accumulation-steps 16 --json");
  loader->callback([arguments, &action] { action = [arguments] { return bench_loader(*arguments); }; });
}

}  // namespace troupe::benchmarks
