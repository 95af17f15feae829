#include "cli/description/placement_description.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "layout/packed_counts.h"
#include "tests/configs/config_text.h"
#include "tests/scratch_folder.h"

namespace troupe::configs::testing {
namespace {

constexpr std::int64_t kVocab = 128;
constexpr const char* kSmall = R"(
data: {sequence_length: 10}
model:
  hidden_size: 8
  layers: 2
  attention: {heads: 4, kv_heads: 2, head_dim: 4}
  ffn: {intermediate_size: 12}
  moe: {experts: 4, top_k: 2, expert_size: 3, first_dense_layers: 1}
batch: {sequences: 12, micro_batch: 1, grad_lanes: 4, expert_lanes: 2}
parallel: {workers: 4, expert_parallel: 2}
)";
constexpr std::int64_t kExpertFloats = 3 * 3 * 8;

class PlacementDescription : public ::testing::Test {
 protected:
  void write_metrics(const std::string& text) { std::ofstream(folder_ / "metrics.jsonl") << text; }

  RunConfig config_ = parse(kSmall);
  test::ScratchFolder folder_;
};

TEST_F(PlacementDescription, SumsTheStepsOfARunsMetrics) {
  write_metrics(
      "{\"step\":1,\"layers\":[{\"layer\":1,\"counts\":[5,4,1,0]}]}\n"
      "{\"step\":1,\"metrics\":{}}\n"
      "{\"step\":2,\"layers\":{\"layer\":[1],\"counts\":[\"" +
      layout::pack_counts(std::vector<std::int64_t>{4, 4, 1, 1}) +
      "\"]}}\n"
      "{\"step\":3,\"lay");
  const auto load = cli::read_measured_load(folder_, config_);
  EXPECT_EQ(std::vector(load.counts.all().begin(), load.counts.all().end()),
            (std::vector<std::int64_t>{9, 8, 2, 1}));
  EXPECT_NE(load.source.find("last 2 steps"), std::string::npos) << load.source;
}

TEST_F(PlacementDescription, SaysWhatMovesAndWhatItSaves) {
  write_metrics("{\"step\":1,\"layers\":[{\"layer\":1,\"counts\":[9,8,2,1]}]}\n");
  const auto described =
      cli::describe_placement(config_, kVocab, 1, cli::read_measured_load(folder_, config_));
  const auto json = nlohmann::json::parse(to_json(described));
  EXPECT_EQ(json["layers"][0]["layer"], 1);
  EXPECT_DOUBLE_EQ(json["layers"][0]["imbalance"], 1.7);
  EXPECT_DOUBLE_EQ(json["layers"][0]["planned_imbalance"], 1.0);
  EXPECT_EQ(json["experts_to_move"], 2);
  // Weights on both replicas, two moments once.
  EXPECT_EQ(json["bytes_to_move"], 2 * 4 * kExpertFloats * 4);
  EXPECT_NEAR(json["expert_time_saved"], 1.0 - 1.0 / 1.7, 1e-12);
  EXPECT_NE(to_text(described).find("saves 41.2 %"), std::string::npos) << to_text(described);
}

TEST_F(PlacementDescription, RefusesTheLoadOfAnotherModel) {
  write_metrics("{\"step\":1,\"layers\":[{\"layer\":1,\"counts\":[9,8,2]}]}\n");
  EXPECT_THROW(static_cast<void>(cli::read_measured_load(folder_, config_)), Error);
  write_metrics("{\"step\":1,\"layers\":[]}\n");
  EXPECT_THROW(static_cast<void>(cli::read_measured_load(folder_, config_)), Error);
}

}  // namespace
}  // namespace troupe::configs::testing
