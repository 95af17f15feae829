// The presets of published models against their published counts.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cli/description/run_description.h"
#include "configs/load.h"
#include "configs/silent_options.h"
#include "model/cost.h"
#include "optimizer/schedule.h"

namespace troupe::configs::testing {
namespace {

const std::filesystem::path kFamilies = std::filesystem::path(TROUPE_SOURCE_DIR) / "configs/families";

struct Published {
  std::string name;
  std::int64_t total = 0;
  std::int64_t active = 0;  // with the embedding's table
};

std::vector<Published> published() {
  std::ifstream file(std::filesystem::path(TROUPE_SOURCE_DIR) / "tests/configs/families/counts.txt");
  std::vector<Published> all;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    Published model;
    std::istringstream(line) >> model.name >> model.total >> model.active;
    all.push_back(model);
  }
  return all;
}

/// Tables that are only looked up: a count of active parameters leaves them out here.
std::int64_t looked_up(const model::ModelOptions& model) {
  const std::int64_t tokens = model.tie_embeddings ? 0 : *model.vocab_size;
  return (tokens + model.embedding.positions) * model.hidden_size;
}

TEST(Families, PresetsHaveThePublishedNumbersOfParameters) {
  ASSERT_GE(published().size(), 99U);
  for (const Published& expected : published()) {
    const RunConfig config = load_config(kFamilies / (expected.name + ".yaml"), {});
    const auto counts = model::count_parameters(config.model, *config.model.vocab_size);
    EXPECT_EQ(counts.total, expected.total) << expected.name;
    EXPECT_EQ(counts.active + looked_up(config.model), expected.active) << expected.name;
    EXPECT_TRUE(silent_options(config).empty()) << expected.name << ": " << silent_options(config)[0];
  }
}

TEST(Families, ModulesForFurtherTokensHaveThePublishedNumbersOfParameters) {
  const auto counts = [](const char* preset) {
    const std::vector<std::string> one_module{"model.mtp.depth=1"};
    const RunConfig config = load_config(kFamilies / preset, one_module);
    return model::count_parameters(config.model, *config.model.vocab_size);
  };
  EXPECT_EQ(counts("deepseek-v3.yaml").mtp, 11'610'067'968);
  EXPECT_EQ(counts("glm-4.5.yaml").mtp, 3'988'069'632);
  EXPECT_EQ(counts("glm-4.5-air.yaml").mtp, 2'375'059'456);
  EXPECT_EQ(counts("deepseek-v3.yaml").total, 671'026'404'352 + 11'610'067'968);
}

TEST(Families, EveryPresetIsCounted) {
  std::set<std::string> counted;
  for (const Published& model : published()) counted.insert(model.name + ".yaml");
  std::set<std::string> presets;
  for (const auto& file : std::filesystem::directory_iterator(kFamilies))
    presets.insert(file.path().filename().string());
  EXPECT_EQ(presets, counted);
}

TEST(Families, RecipesTrainOnThePublishedNumberOfTokens) {
  struct Recipe {
    const char* name;
    double tokens;
    double lr;
    double end;  // of the learning rate, as a part
  };
  for (const Recipe& recipe : {Recipe{"deepseek-llm-7b", 2e12, 4.2e-4, 0.1},
                               {"deepseek-llm-67b", 2e12, 3.2e-4, 0.1},
                               {"deepseek-v2", 8.1e12, 2.4e-4, 0.1},
                               {"deepseek-v2-lite", 5.7e12, 4.2e-4, 0.1},
                               {"smollm2-1.7b", 11e12, 5e-4, 0.0},
                               {"smollm3-3b", 11.2e12, 2e-4, 0.0},
                               {"olmo-2-1b", 5e12, 4e-4, 0.1},
                               {"olmo-2-7b", 5e12, 3e-4, 0.1},
                               {"olmo-2-13b", 5e12, 3e-4, 0.1},
                               {"olmoe-1b-7b", 5e12, 4e-4, 0.1}}) {
    const std::vector<std::string> corpus{"data.corpus=data/some"};
    const RunConfig config = load_config(kFamilies / (std::string(recipe.name) + ".yaml"), corpus);
    const auto tokens = config.run.steps * config.batch.sequences * config.data.sequence_length;
    EXPECT_NEAR(static_cast<double>(tokens), recipe.tokens, 1e-3 * recipe.tokens) << recipe.name;
    EXPECT_EQ(config.optimizer.lr, recipe.lr) << recipe.name;
    EXPECT_EQ(config.optimizer.betas, (std::vector<double>{0.9, 0.95})) << recipe.name;
    EXPECT_EQ(config.optimizer.grad_clip, 1.0) << recipe.name;
    const auto factor = [&](std::int64_t step) {
      return optimizer::learning_rate_factor(config.schedule, step, config.run.steps);
    };
    EXPECT_GE(config.schedule.warmup, 2000.0) << recipe.name;
    EXPECT_EQ(factor(1000), 1000.0 / config.schedule.warmup) << recipe.name;
    EXPECT_NEAR(factor(config.run.steps), recipe.end, 1e-4) << recipe.name;
  }
}

TEST(Families, DescribeSaysTheCountsAndTheCache) {
  const RunConfig config = load_config(kFamilies / "gemma-3-1b.yaml", {});
  const auto description = cli::describe_run(config, *config.model.vocab_size, 1);
  EXPECT_EQ(description.parameters.total, 999885952);
  EXPECT_EQ(description.cache_bytes_per_token, 26 * 2 * 256 * 4);
  // 22 layers see 512 tokens, 4 all of them.
  EXPECT_EQ(description.cache_bytes, (22 * 512 + 4 * 4096) * 2 * 256 * 4);
  std::int64_t sum = 0;
  for (const std::int64_t part : description.parameters_by_part) sum += part;
  EXPECT_EQ(sum, description.parameters.total);
}

}  // namespace
}  // namespace troupe::configs::testing
