// Every class of Hugging Face's transformers that is known here: a folder written by it is imported, and
// computes what it computed (families.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/file.h"
#include "base/index.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "configs/load.h"
#include "conversion/export.h"
#include "conversion/family.h"
#include "conversion/import.h"
#include "conversion/model_config.h"
#include "model/generation/decoder.h"
#include "model/model.h"
#include "storage/checkpoint_path.h"
#include "storage/checkpoint_reader.h"
#include "storage/safetensors/folder.h"
#include "tests/scratch_folder.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/training_options.h"

namespace troupe::golden {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using storage::safetensors::Folder;

const fs::path kFolders = fs::path(TROUPE_SOURCE_DIR) / "tests/golden/families";
constexpr double kTolerance = 1e-4;
constexpr std::size_t kMaximumBytes = std::size_t{1} << 22;

fs::path folder_of(const std::string& model_type) { return kFolders / model_type; }

/// An imported model that computes one sequence at a time.
class Imported {
 public:
  Imported(const fs::path& run, std::int64_t length)
      : reader_(storage::find_checkpoint(run)),
        config_(configs::parse_record(reader_.manifest().metadata.config, run.string())),
        length_(length),
        world_(std::move(comm::make_inproc_group(1).front())) {
    workers::TrainingOptions options;
    options.model = config_.model;
    options.vocab_size = vocab();
    options.data.sequence_length = length;
    options.batch = {.accumulation_steps = 1, .grad_lanes = 1, .expert_lanes = 1, .micro_batch = 1};
    const layout::Layout layout(options.batch, 1, 1, static_cast<int>(config_.model.moe.experts));
    model_ =
        std::make_unique<model::Model>(workers::model_setup(options, layout, 0), layout, *world_, clock_);
    workers::load_model(reader_, *model_);
  }

  [[nodiscard]] std::int64_t vocab() const { return *config_.model.vocab_size; }

  /// Logits of a row of a sequence, which is filled up behind.
  [[nodiscard]] std::vector<float> logits(std::vector<std::int32_t> tokens, std::int64_t row) {
    tokens.resize(at(length_), 0);
    std::vector<float> values(at(vocab()));
    model_->transformer().logits_of_row(input(tokens, tokens), model_->frozen_context(), model_->weights(),
                                        row, values);
    return values;
  }

  /// Greedy tokens after the prompt, by a cache, whose positions are one sequence's among others.
  [[nodiscard]] std::vector<std::int32_t> written(const std::vector<std::int32_t>& prompt,
                                                  std::size_t count) {
    model::Decoder decoder(*model_, {.sequences = 2, .capacity = length_}, std::ssize(prompt));
    std::vector<model::NextToken> next;
    for (const std::int32_t token : prompt)
      next.push_back({token, 1, static_cast<std::int32_t>(next.size())});
    std::vector<std::int32_t> tokens;
    std::vector<float> logits(at(vocab()));
    while (tokens.size() < count) {
      const std::array<std::int64_t, 1> last{std::ssize(next) - 1};
      decoder.decode(next, last, logits);
      tokens.push_back(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
      next = {{tokens.back(), 1, next.back().position + 1}};
    }
    return tokens;
  }

  /// Σ -log p of the tokens after the first, and how many they are.
  [[nodiscard]] std::pair<double, std::int64_t> loss(const std::vector<std::int32_t>& tokens) {
    std::vector<std::int32_t> targets(tokens.begin() + 1, tokens.end());
    targets.push_back(-1);
    std::vector<double> nll(tokens.size());
    model::MicrobatchResult result = model_->transformer().make_result();
    model_->transformer().evaluate(input(tokens, targets), model_->frozen_context(), model_->weights(), nll,
                                   result);
    return {result.nll, result.target_tokens};
  }

 private:
  [[nodiscard]] MicrobatchInput input(const std::vector<std::int32_t>& tokens,
                                      const std::vector<std::int32_t>& targets) {
    positions_.resize(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) positions_[i] = static_cast<std::int32_t>(i);
    first_visible_.assign(tokens.size(), 0);
    const auto view = [](const std::vector<std::int32_t>& values) {
      return ConstTensorView(values.data(), Shape{std::ssize(values)});
    };
    return {view(tokens), view(targets), view(positions_), view(first_visible_)};
  }

  storage::CheckpointReader reader_;
  configs::RunConfig config_;
  std::int64_t length_;
  SystemClock clock_;
  std::unique_ptr<comm::Communicator> world_;
  std::unique_ptr<model::Model> model_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> first_visible_;
};

double relative_error(std::span<const float> ours, std::span<const float> theirs) {
  double difference = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    difference += std::pow(static_cast<double>(ours[i]) - theirs[i], 2);
    norm += std::pow(static_cast<double>(theirs[i]), 2);
  }
  return std::sqrt(difference / norm);
}

class Families : public testing::TestWithParam<std::string> {
 protected:
  Families() : expected_(json::parse(read_file(folder_of(GetParam()) / "expected.json", kMaximumBytes))) {
    conversion::import_model({.folder = folder_of(GetParam()), .output = run(), .piece_bytes = 60'000});
  }

  void expect_logits_and_loss() const;
  void expect_continuation() const;
  void expect_export() const;

  /// Folders are called so, with what is special behind a dash.
  [[nodiscard]] static std::string model_type() { return GetParam().substr(0, GetParam().find('-')); }
  [[nodiscard]] fs::path run() const { return scratch_ / "run"; }
  [[nodiscard]] std::vector<std::vector<std::int32_t>> tokens() const { return expected_.at("tokens"); }

  test::ScratchFolder scratch_;
  json expected_;
};

void Families::expect_logits_and_loss() const {
  const auto sequences = tokens();
  const std::int64_t length = std::ssize(sequences.front());
  Imported model(run(), length);
  std::vector<float> logits;
  double nll = 0.0;
  std::int64_t targets = 0;
  for (const auto& sequence : sequences) {
    for (std::int64_t row = 0; row < length; ++row) {
      const auto of_row = model.logits(sequence, row);
      logits.insert(logits.end(), of_row.begin(), of_row.end());
    }
    const auto [sum, count] = model.loss(sequence);
    nll += sum;
    targets += count;
  }
  const auto theirs = expected_.at("logits").get<std::vector<float>>();
  ASSERT_EQ(logits.size(), theirs.size());
  const double error = relative_error(logits, theirs);
  const double loss = expected_.at("loss");
  const double loss_error = std::abs(nll / static_cast<double>(targets) - loss) / loss;
  std::printf("| %s | %.1e | %.1e |\n", GetParam().c_str(), error, loss_error);
  EXPECT_LE(error, kTolerance);
  EXPECT_LE(loss_error, kTolerance);
}

void Families::expect_continuation() const {
  std::vector<std::int32_t> tokens = expected_.at("prompt");
  const std::vector<std::int32_t> theirs = expected_.at("continuation");
  const std::size_t prompt = tokens.size();
  Imported model(run(), std::ssize(tokens) + std::ssize(theirs));
  while (tokens.size() < prompt + theirs.size()) {
    const auto logits = model.logits(tokens, std::ssize(tokens) - 1);
    tokens.push_back(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
  }
  EXPECT_EQ(std::vector(tokens.begin() + static_cast<std::ptrdiff_t>(prompt), tokens.end()), theirs);
  tokens.resize(prompt);
  EXPECT_EQ(model.written(tokens, theirs.size()), theirs) << "with a cache";
}

void Families::expect_export() const {
  const fs::path exported = scratch_ / "exported";
  conversion::ExportRequest request;
  request.checkpoint = storage::find_checkpoint(run());
  request.output = exported;
  request.model_type = model_type();
  request.shard_bytes = 20'000;
  conversion::export_model(request);
  const Folder theirs(folder_of(GetParam()));
  const Folder ours(exported);
  ASSERT_EQ(ours.names(), theirs.names());
  for (const std::string& name : theirs.names()) {
    ASSERT_EQ(ours.find(name)->shape, theirs.find(name)->shape) << name;
    const auto values = [&](const Folder& folder) {
      std::vector<float> all(at(folder.find(name)->elements()));
      folder.read(name, {.columns = std::ssize(all)}, all);
      return all;
    };
    EXPECT_EQ(values(ours), values(theirs)) << name;
  }
  const auto options = [](const fs::path& folder) {
    return conversion::read_config(folder / "config.json").run.model;
  };
  EXPECT_EQ(conversion::differences(options(exported), options(folder_of(GetParam()))),
            std::vector<std::string>());
}

TEST_P(Families, AnImportedModelComputesAsTransformersAndGoesBack) {
  expect_logits_and_loss();
  expect_continuation();
  expect_export();
}

std::vector<std::string> folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolders)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Classes, Families, testing::ValuesIn(folders()), [](const auto& instance) {
  std::string name = instance.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(FamiliesTable, EveryFamilyHasAFolder) {
  for (const conversion::Family& family : conversion::families())
    EXPECT_TRUE(fs::exists(folder_of(family.model_type) / "expected.json")) << family.model_type;
}

}  // namespace
}  // namespace troupe::golden
