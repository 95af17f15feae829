// Every class of Hugging Face's transformers that is known here: a folder written by it is imported, and
// computes what it computed (families.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/index.h"
#include "conversion/export.h"
#include "conversion/family.h"
#include "conversion/import.h"
#include "conversion/model_config.h"
#include "storage/checkpoint_path.h"
#include "storage/safetensors/folder.h"
#include "tests/golden/imported_model.h"
#include "tests/scratch_folder.h"

namespace troupe::golden {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using storage::safetensors::Folder;

const fs::path kFolders = fs::path(TROUPE_SOURCE_DIR) / "tests/golden/families";
constexpr double kTolerance = 1e-4;
constexpr std::size_t kMaximumBytes = std::size_t{1} << 22;

fs::path folder_of(const std::string& model_type) { return kFolders / model_type; }

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
  void expect_gradients() const;
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
  ImportedModel model(run(), length);
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

/// Of every tensor of the file: its norm, and values evenly spread over it.
void Families::expect_gradients() const {
  const json theirs = json::parse(read_file(folder_of(GetParam()) / "gradients.json", kMaximumBytes));
  ImportedModel model(run(), std::ssize(tokens().front()));
  const auto [gradients, mtp_loss] = model.trained(tokens(), conversion::family_named(model_type()));
  EXPECT_EQ(expected_.contains("mtp_loss"), model.options().mtp.depth > 0);
  EXPECT_NEAR(mtp_loss, expected_.value("mtp_loss", 0.0), kTolerance * mtp_loss);
  double worst = 0.0;
  for (const auto& [name, of_tensor] : theirs.items()) {
    ASSERT_TRUE(gradients.contains(name)) << name;
    const std::vector<float>& ours = gradients.at(name);
    const auto values = of_tensor.at("values").get<std::vector<double>>();
    const double norm = of_tensor.at("norm");
    double squares = 0.0;
    for (const float value : ours) squares += static_cast<double>(value) * value;
    double difference = 0.0;
    double size = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      difference += std::pow(ours[i * ours.size() / values.size()] - values[i], 2);
      size += values[i] * values[i];
    }
    size =
        std::max(size, norm * norm * static_cast<double>(values.size()) / static_cast<double>(ours.size()));
    if (norm == 0.0) {  // of an expert that no token chose
      EXPECT_EQ(squares, 0.0) << name;
      continue;
    }
    const double error = std::max(std::abs(std::sqrt(squares) - norm) / norm, std::sqrt(difference / size));
    EXPECT_LE(error, kTolerance) << name;
    worst = std::max(worst, error);
  }
  std::printf("| %s | gradients of %zu tensors | %.1e |\n", GetParam().c_str(), theirs.size(), worst);
}

void Families::expect_continuation() const {
  std::vector<std::int32_t> tokens = expected_.at("prompt");
  const std::vector<std::int32_t> theirs = expected_.at("continuation");
  const std::size_t prompt = tokens.size();
  ImportedModel model(run(), std::ssize(tokens) + std::ssize(theirs));
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
  model::ModelOptions read = options(folder_of(GetParam()));
  read.mtp = options(exported).mtp;  // theirs counts modules that it does not have
  EXPECT_EQ(conversion::differences(options(exported), read), std::vector<std::string>());
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

TEST_P(Families, ItsGradientsAreThoseOfTransformers) { expect_gradients(); }

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
