#include "configs/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/random.h"
#include "configs/option_list.h"
#include "configs/other_names.h"
#include "tests/configs/config_text.h"

namespace troupe::configs::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::filesystem::path kPresets = std::filesystem::path(TROUPE_SOURCE_DIR) / "configs";

TEST(LoadConfig, AnEmptyFileIsTheDefaults) {
  EXPECT_EQ(dump(parse("")), dump(RunConfig{}));
  EXPECT_EQ(dump(parse("# nothing\n")), dump(RunConfig{}));
  EXPECT_EQ(dump(parse("sampling:\nmodel: {loss: {}}\n")), dump(RunConfig{}));
}

TEST(LoadConfig, EveryPresetLoadsAndItsDumpGivesTheSame) {
  for (const char* name : {"quickstart.yaml", "tiny.yaml", "benchmarks/moe_step.yaml"}) {
    const RunConfig config = load_config(kPresets / name, {});
    EXPECT_EQ(dump(parse(dump(config))), dump(config)) << name;
  }
}

TEST(LoadConfig, EveryPresetTakesAnotherNumberOfSteps) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kPresets)) {
    if (entry.path().extension() != ".yaml" || entry.path().parent_path().filename() == "corpora") continue;
    if (load_config(entry.path(), {}).schedule.warmup >= 1.0) continue;  // as a published recipe counts it
    for (const char* steps : {"run.steps=1", "run.steps=7", "run.steps=100", "run.steps=100000"}) {
      const std::vector<std::string> overrides{steps};
      EXPECT_NO_THROW((void)load_config(entry.path(), overrides)) << entry.path() << " " << steps;
    }
  }
}

TEST(LoadConfig, LengthsOfSchedulesAreWholeStepsOrPartsOfTheRun) {
  EXPECT_EQ(parse("schedule: {warmup: 3, decay: 0.25}").schedule.decay, 0.25);
  EXPECT_THAT(mistakes("schedule: {warmup: 3.5}"),
              HasSubstr("schedule.warmup = 3.5 must be a number of whole steps"));
  EXPECT_THAT(mistakes("run: {steps: 10}\nschedule: {warmup: 0.5, decay: 6}"),
              HasSubstr("5 + 6 steps exceed"));
}

TEST(LoadConfig, TheQuickstartPresetSpellsOutTheDefaults) {
  const std::vector<std::string> defaults{"run.steps=240",
                                          "data.corpus=data/debian",
                                          "model.hidden_size=256",
                                          "model.attention.heads=8",
                                          "model.attention.kv_heads=4",
                                          "model.ffn.intermediate_size=704",
                                          "model.moe.expert_size=256",
                                          "model.init.std=0.02",
                                          "model.init.residual_scaling=true",
                                          "batch.sequences=16",
                                          "batch.grad_lanes=8",
                                          "optimizer.lr=1.0e-3",
                                          "schedule.warmup=0.05",
                                          "schedule.decay=0.2",
                                          "evaluation.every=50",
                                          "evaluation.sequences=64",
                                          "evaluation.final_sequences=1024",
                                          "sampling.every=100",
                                          "sampling.prompts=[The]",
                                          "checkpoint.every=100"};
  EXPECT_EQ(dump(load_config(kPresets / "quickstart.yaml", defaults)), dump(RunConfig{}));
}

TEST(LoadConfig, AllKindsOfValuesAreReadAndWrittenBack) {
  const RunConfig config = parse(R"(
run: {name: a-b_1, stop_after: 7}
data: {corpus: "with space: #", domains: {code: 2, "two words": 0.1}}
model:
  tie_embeddings: false
  attention: {kind: mqa, kv_heads: 1}
  moe:
    balancer: {rate: {from: 0.1, to: 1e-05}}
    aux_loss: [{scope: micro, coefficient: {from: 1, to: 0}}, {f_source: unbiased}]
parallel: {workers: 4, expert_parallel: 4}
launch: {hostfile: hosts, mpirun_args: ["--mca", "a b"]}
optimizer: {betas: [0.8, 0.99], lr: 0.30000000000000004}
sampling: {prompts: ["Tab\tand \"quotes\"\n", ""]}
)");
  EXPECT_EQ(config.run.stop_after, 7);
  EXPECT_EQ(config.data.domains.at("two words"), 0.1);
  EXPECT_FALSE(config.model.tie_embeddings);
  EXPECT_EQ(config.model.attention.kind, model::AttentionKind::kMqa);
  EXPECT_EQ(config.model.moe.balancer.rate, Schedule(0.1, 1e-5));
  ASSERT_EQ(config.model.moe.aux_loss.size(), 2U);
  EXPECT_EQ(config.model.moe.aux_loss[0].scope, experts::AuxScope::kMicro);
  EXPECT_EQ(config.model.moe.aux_loss[1].f_source, experts::FrequencySource::kUnbiased);
  EXPECT_EQ(config.parallel.workers, 4);
  EXPECT_EQ(config.launch.hostfile, "hosts");
  EXPECT_THAT(config.launch.mpirun_args, ElementsAre("--mca", "a b"));
  EXPECT_THAT(config.sampling.prompts, ElementsAre("Tab\tand \"quotes\"\n", ""));
  EXPECT_EQ(config.optimizer.lr, 0.30000000000000004);
  const RunConfig again = parse(dump(config));
  EXPECT_EQ(dump(again), dump(config));
  // YAML 1.1 readers (PyYAML) take a number for text where the exponent comes without a point.
  EXPECT_TRUE(dump(config).find("1.0e-05") != std::string::npos) << dump(config);
  EXPECT_EQ(again.sampling.prompts, config.sampling.prompts);
  EXPECT_EQ(again.data.corpus, config.data.corpus);
  EXPECT_EQ(again.optimizer.lr, config.optimizer.lr);
}

TEST(LoadConfig, TextThatLooksLikeAnotherTypeStaysText) {
  for (const char* name : {"null", "true", "12", "~", "auto", "1e3", "- a", "a: b", "ends ", "é"}) {
    RunConfig config;
    config.data.corpus = name;
    EXPECT_EQ(parse(dump(config)).data.corpus, name);
  }
}

TEST(LoadConfig, AllMistakesAreNamedAtOnceWithTheirPlaces) {
  const std::string found = mistakes(
      "run:\n"
      "  steps: many\n"
      "model:\n"
      "  hiden_size: 12\n"
      "  layers: 0\n"
      "  moe: {experts: 4.5, top_k: '2'}\n"
      "batch: 3\n");
  EXPECT_EQ(found,
            "run.yaml:2:10: run.steps must be an integer of at least 1, found 'many'\n"
            "run.yaml:4:3: unknown key model.hiden_size; did you mean model.hidden_size?\n"
            "run.yaml:5:11: model.layers must be an integer from 1 to 10000, found '0'\n"
            "run.yaml:6:18: model.moe.experts must be an integer from 1 to 65536, found '4.5'\n"
            "run.yaml:6:30: model.moe.top_k must be an integer from 1 to 65536, found '2'; write 2, without "
            "quotes\n"
            "run.yaml:7:8: batch must be a group of options, found '3'");
}

TEST(LoadConfig, ValuesWrittenAsAnotherTypeAreToldHow) {
  EXPECT_THAT(mistakes("run: {steps: \"100\"}"), HasSubstr("found '100'; write 100, without quotes"));
  EXPECT_THAT(mistakes("run: {steps: 1e3}"), HasSubstr("found '1e3'; write 1000"));
  EXPECT_THAT(mistakes("run: {steps: 10_000}"), HasSubstr("found '10_000'; write 10000"));
  EXPECT_THAT(mistakes("run: {steps: 0}"), ::testing::EndsWith("found '0'"));
  EXPECT_THAT(mistakes("optimizer: {lr: '1e-3'}"), HasSubstr("found '1e-3'; write 1e-3, without quotes"));
  EXPECT_THAT(mistakes("dashboard: {enabled: True}"), HasSubstr("found 'True'; write true"));
  EXPECT_THAT(mistakes("dashboard: {enabled: off}"), HasSubstr("found 'off'; write false"));
  EXPECT_THAT(mistakes("run:\n\tsteps: 3\n"), HasSubstr("a tab: YAML is indented by spaces"));
  EXPECT_THAT(mistakes("run: {steps: 3}\n# r\xE4t\nrun2: 1\n"), HasSubstr(":2:4: a byte that is no UTF-8"));
}

TEST(LoadConfig, KeysOfOtherProgramsAreToldTheirNameHere) {
  EXPECT_THAT(mistakes("optimizer: {learning_rate: 1}"), HasSubstr("it is called optimizer.lr here"));
  EXPECT_THAT(mistakes("num_experts: 1"), HasSubstr("it is called model.moe.experts here"));
}

TEST(LoadConfig, NamesOfOtherProgramsMeanOptionsThatExist) {
  RunConfig config;
  std::set<std::string> keys;
  for (const OptionInfo& option : list_options([&](Fields& fields) { describe(fields, config); }))
    keys.insert(option.key);
  for (const OtherName& other : other_names())
    EXPECT_TRUE(keys.contains(std::string(other.option))) << other.name << " " << other.option;
  EXPECT_EQ(option_of_other_name("nothing"), "");
}

TEST(LoadConfig, RecordsOfEarlierVersionsMayHaveOptionsThatAreNoMore) {
  const std::string text = "run: {steps: 7}\ngone: {option: 1}\n";
  EXPECT_EQ(parse_record(text, "record").run.steps, 7);
  EXPECT_THAT(mistakes(text), HasSubstr("unknown key gone"));
  const std::vector<std::string> overrides{"gone.option=2"};
  EXPECT_THROW((void)parse_record("run: {steps: 7}\n", "record", overrides), Error);
  EXPECT_THROW((void)parse_record("run: {steps: x}\n", "record"), Error);
}

TEST(LoadConfig, GeluOfARecordOfAnEarlierVersionKeepsItsMeaning) {
  for (const std::string name : {"gelu", "geglu"}) {
    const std::string text = "model: {ffn: {activation: " + name + "}}\n";
    const RunConfig exact = parse(text);
    const RunConfig by_tanh = parse_record(text, "record");
    EXPECT_NE(exact.model.ffn.form.activation, by_tanh.model.ffn.form.activation);
    EXPECT_THAT(dump(exact), HasSubstr("activation: " + name + "\n"));
    EXPECT_THAT(dump(by_tanh), HasSubstr("activation: " + name + "_tanh\n"));
    // What this version recorded means what it says, and so does what the user asks for now.
    EXPECT_EQ(dump(parse_record(dump(exact), "record")), dump(exact));
    EXPECT_EQ(dump(parse_record(dump(by_tanh), "record")), dump(by_tanh));
    EXPECT_EQ(dump(parse_record(text, "record", std::vector<std::string>{"model.ffn.activation=" + name})),
              dump(exact));
  }
}

TEST(LoadConfig, AKeyInTheWrongGroupIsPointedToItsPlace) {
  EXPECT_THAT(mistakes("experts: 4"), HasSubstr("unknown key experts; did you mean model.moe.experts?"));
  EXPECT_THAT(mistakes("qqqqqq: 4"), AllOf(HasSubstr("unknown key qqqqqq"), Not(HasSubstr("mean"))));
}

TEST(LoadConfig, NamesWithoutAnImplementationSayWhichValuesWork) {
  EXPECT_THAT(mistakes("model: {attention: {kind: lightning}}"), HasSubstr("one of mha, mqa, gqa, mla"));
  EXPECT_THAT(mistakes("parallel: {recompute: layer}"), HasSubstr("one of none, block"));
  EXPECT_THAT(mistakes("parallel: {backend: nccl}"), HasSubstr("one of mpi, inproc"));
}

TEST(LoadConfig, WrongTypesAreRefused) {
  for (const char* text : {"dashboard: {enabled: yes}",
                           "dashboard: {port: 65536}",
                           "dashboard: {port: }",
                           "run: {seed: -1}",
                           "run: {seed: 99999999999999999999}",
                           "optimizer: {lr: nan}",
                           "optimizer: {lr: .inf}",
                           "optimizer: {lr: 1e999}",
                           "optimizer: {betas: [0.9]}",
                           "optimizer: {betas: [0.9, 2]}",
                           "run: {name: [a]}",
                           "run: {name: }",
                           "parallel: {workers: null}",
                           "run: {stop_after: auto}",
                           "data: {domains: [a]}",
                           "data: {domains: {a: b}}",
                           "data: {domains: {a: -1}}",
                           "model: {moe: {aux_loss: {scope: micro}}}",
                           "model: {moe: {aux_loss: [micro]}}",
                           "model: {moe: {balancer: {rate: {from: 1}}}}",
                           "model: {moe: {balancer: {rate: {from: 1, to: 2, by: 3}}}}",
                           "model: {moe: {balancer: {rate: [1, 2]}}}",
                           "sampling: {prompts: The}",
                           "sampling: {prompts: [[a]]}",
                           "- a",
                           "just text"}) {
    EXPECT_THAT(mistakes(text), StartsWith("run.yaml:")) << text;
  }
}

TEST(LoadConfig, OverridesGoThroughTheSameChecks) {
  const RunConfig config =
      parse("model: {moe: {experts: 8}}", {"model.moe.experts=32", "run.stop_after=10", "data.domains.code=2",
                                           "model.moe.balancer.rate={from: 1, to: 0.5}",
                                           "sampling.prompts=[\"a\", b]", "run.stop_after=11"});
  EXPECT_EQ(config.model.moe.experts, 32);
  EXPECT_EQ(config.run.stop_after, 11);
  EXPECT_EQ(config.data.domains.at("code"), 2.0);
  EXPECT_EQ(config.model.moe.balancer.rate, Schedule(1.0, 0.5));
  EXPECT_THAT(config.sampling.prompts, ElementsAre("a", "b"));
  EXPECT_FALSE(parse("run: {stop_after: 4}", {"run.stop_after="}).run.stop_after);
}

TEST(LoadConfig, MistakesOfOverridesNameTheOverride) {
  EXPECT_EQ(mistakes("run: {steps: x}", {"model.moe.expert=32", "run.seed=x"}),
            "run.yaml:1:14: run.steps must be an integer of at least 1, found 'x'\n"
            "--set run.seed=x: run.seed must be an integer of at least 0, found 'x'\n"
            "--set model.moe.expert=32: unknown key model.moe.expert; did you mean model.moe.experts?");
  EXPECT_THAT(mistakes("", {"model.moe.top_k=99"}),
              StartsWith("--set model.moe.top_k=99: model.moe.top_k = 99 exceeds"));
  EXPECT_THAT(mistakes("", {"run.steps"}), HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(mistakes("", {"=3"}), HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(mistakes("", {"run..steps=3"}), HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(mistakes("", {"run.steps=[1"}), StartsWith("--set run.steps=[1"));
}

TEST(LoadConfig, BrokenYamlIsNamedWithItsPlace) {
  EXPECT_THAT(mistakes("run: {steps: 1"), StartsWith("run.yaml:"));
  EXPECT_THAT(mistakes("run:\n\tsteps: 1\n"), StartsWith("run.yaml:2:"));
  EXPECT_THAT(mistakes("run: {}\nrun: {}\n"), HasSubstr("run.yaml:2:1: key 'run' appears twice"));
  EXPECT_THAT(mistakes("{[a]: 1}"), HasSubstr("a key must be a plain name"));
  EXPECT_THAT(mistakes("run: *nobody"), StartsWith("run.yaml:"));
  EXPECT_THAT(mistakes("run: {}\n---\nrun: {}\n"), HasSubstr("a second document"));
}

TEST(LoadConfig, AnchorsWorkAndCannotGrowWithoutBound) {
  EXPECT_EQ(parse("model: {moe: {aux_loss: [&a {scope: micro}, *a]}}").model.moe.aux_loss.size(), 2U);
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 10; ++j) bomb += fmt::format("*a{}, ", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(mistakes(bomb), HasSubstr("more than 20000 values"));
}

TEST(LoadConfig, SizeAndDepthAreLimited) {
  EXPECT_THAT(mistakes(std::string(100'000, '[')), HasSubstr("open brackets"));
  EXPECT_THAT(mistakes(std::string(40, '[') + std::string(40, ']')), HasSubstr("nested deeper than 32"));
  EXPECT_THAT(mistakes(std::string((1U << 20U) + 1, '#')), HasSubstr("at most 1048576"));
  std::string many = "data: {domains: {";
  for (int i = 0; i < 30'000; ++i) many += fmt::format("d{}: 1, ", i);
  EXPECT_THAT(mistakes(many + "}}"), HasSubstr("more than 20000 values"));
}

TEST(LoadConfig, AMissingFileIsAMistakeOfTheUser) {
  try {
    static_cast<void>(load_config("/nonexistent/run.yaml", {}));
    FAIL() << "it loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/run.yaml"));
  }
}

TEST(LoadConfig, MutatedFilesGiveACleanErrorOrAConfiguration) {
  std::ifstream file(kPresets / "quickstart.yaml");
  const std::string original((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Random random(3, RandomPurpose::kTest);
  std::uint64_t index = 0;
  const auto below = [&](std::uint64_t bound) { return random.below(index++, bound); };
  for (int round = 0; round < 1000; ++round) {
    std::string text = original;
    for (std::uint64_t edit = 0; edit < 1 + below(4); ++edit) {
      const std::size_t at = below(text.size());
      switch (below(3)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text.erase(at, 1 + below(20));
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(20)));
          break;
      }
    }
    EXPECT_THAT(mistakes(text), Not(StartsWith("another error"))) << text;
  }
}

}  // namespace
}  // namespace troupe::configs::testing
