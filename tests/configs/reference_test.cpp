#include "configs/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "configs/edit_distance.h"
#include "configs/identity.h"
#include "configs/option_list.h"
#include "tests/configs/config_text.h"

namespace troupe::configs::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Reference, ThePageIsWhatTheProgramSays) {
  const auto path = std::filesystem::path(TROUPE_SOURCE_DIR) / "docs/reference/config.md";
  EXPECT_EQ(read_file(path, 1 << 20), document())
      << "write it again: troupe config --markdown > docs/reference/config.md";
}

TEST(Reference, EveryOptionHasHelpAndAChoice) {
  RunConfig config;
  for (const OptionInfo& option : list_options([&](Fields& fields) { describe(fields, config); })) {
    EXPECT_GE(option.help.size(), 4U) << option.key;
    EXPECT_FALSE(option.help.ends_with(".")) << option.key;
    EXPECT_EQ(option.help.find('|'), std::string::npos) << option.key << " breaks the table";
    const bool is_group = option.kind == OptionInfo::Kind::kGroup;
    EXPECT_TRUE(is_group || option.type != option.value) << option.key << " has one value: it is no option";
  }
}

TEST(Reference, ExplainsAnOptionAndAGroup) {
  EXPECT_THAT(explain("model.moe.top_k"), HasSubstr("model.moe.top_k = 2\n"));
  EXPECT_THAT(explain("model.moe.aux_loss"), HasSubstr("model.moe.aux_loss[].scope = global"));
  EXPECT_THAT(explain("batch"), HasSubstr("batch.grad_lanes"));
  EXPECT_THAT(explain("batch"), Not(HasSubstr("model")));
  EXPECT_THAT(explain(""), HasSubstr("metrics.per_expert"));
}

TEST(Reference, AnUnknownOptionIsRefusedWithASuggestion) {
  try {
    static_cast<void>(explain("model.moe.topk"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("did you mean model.moe.top_k?"));
  }
}

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("layers", "layer"), 1U);
  EXPECT_EQ(edit_distance("hiden", "hidden"), 1U);
  EXPECT_EQ(edit_distance("setps", "steps"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(EditDistance, FarNamesAreNotSuggested) {
  EXPECT_EQ(nearest("steps", {"seed", "steps_total", "dir"}), "");
  EXPECT_EQ(nearest("setps", {"seed", "steps", "dir"}), "steps");
}

TEST(ConfigHash, ChangesWithTheMeaningOnly) {
  const std::string hash = config_hash(parse(""));
  EXPECT_EQ(hash.size(), 64U);
  for (const char* setting : {"run.seed=2", "run.steps=300", "data.domains.code=1", "model.moe.experts=32",
                              "batch.micro_batch=1", "optimizer.lr=0.002", "schedule.warmup=3",
                              "model.moe.aux_loss=[{scope: micro}]", "data.sequence_length=128"})
    EXPECT_NE(config_hash(parse("", {setting})), hash) << setting;
  for (const char* setting :
       {"run.name=other", "run.dir=/elsewhere", "data.corpus=elsewhere", "run.stop_after=3",
        "parallel.workers=3", "parallel.threads=2", "control.port=4000", "checkpoint.every=1",
        "dashboard.enabled=false", "sampling.tokens=1", "evaluation.every=3", "evaluation.sequences=3",
        "metrics.per_expert=true", "launch.interface=eth0"})
    EXPECT_EQ(config_hash(parse("", {setting})), hash) << setting;
}

TEST(Differences, NameTheKeysWithBothValues) {
  const auto found =
      differences(parse("", {"run.seed=2", "run.name=a", "model.moe.aux_loss=[{}]"}), parse(""));
  EXPECT_THAT(
      found,
      ElementsAre(
          Difference{"run.seed", "2", "1"},
          Difference{"model.moe.aux_loss",
                     "[{kind: load_balance, scope: global, coefficient: 0.01, f_source: actual}]", "[]"}));
  EXPECT_TRUE(differences(parse(""), parse("", {"parallel.threads=2"})).empty());
}

}  // namespace
}  // namespace troupe::configs::testing
