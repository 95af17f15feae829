#include "cli/terminal/terminal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <limits>
#include <sstream>
#include <streambuf>
#include <vector>

namespace troupe::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TerminalText, CountsHaveThreeDigitsAndAUnit) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(950), "950");
  EXPECT_EQ(count_text(12345), "12.3k");
  EXPECT_EQ(count_text(999600), "1M");
  EXPECT_EQ(count_text(1.5), "1.5");
  EXPECT_EQ(bytes_text(12'340'000), "12.3 MB");
}

TEST(TerminalText, WhatNoUnitFitsHasNone) {
  EXPECT_EQ(count_text(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(count_text(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(count_text(5.18e21), "5.18e+21");
  EXPECT_EQ(count_text(9.99e14), "999T");
}

TEST(TerminalText, DurationsReadAsPeopleSayThem) {
  EXPECT_EQ(duration_text(-1), "0 s");
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(59.6), "1 min 00 s");
  EXPECT_EQ(duration_text(332), "5 min 32 s");
  EXPECT_EQ(duration_text(7500), "2 h 05 min");
  EXPECT_EQ(duration_text(90000), "1 d 01 h");
}

TEST(TerminalText, NoEscapeSequenceGetsThrough) {
  EXPECT_EQ(printable("a\x1b[2Jb\rc\td\ne\x7f"), "a?[2Jb?c\td\ne?");
  EXPECT_EQ(printable("x\xc2\x9b"
                      "31my"),
            "x?31my")
      << "U+009B is a control character too";
  EXPECT_EQ(printable("é中"), "é中");
}

TEST(TerminalText, ClippingNeverCutsACharacter) {
  EXPECT_EQ(clipped("aé中b", 3), "aé中");
  EXPECT_EQ(clipped("ab", 5), "ab");
  EXPECT_EQ(clipped("ab", 0), "");
}

TEST(TerminalText, TheStatusLeavesOutWhatIsNotKnown) {
  StatusNumbers numbers;
  numbers.step = 3;
  numbers.last_step = 240;
  EXPECT_EQ(status_text(numbers), "step 3/240");
  numbers.loss = 5.03124;
  numbers.tokens_per_second = 24100;
  numbers.mfu = 0.414;
  numbers.max_violation = 0.31;
  numbers.seconds_left = 130;
  EXPECT_EQ(status_text(numbers),
            "step 3/240  loss 5.0312  24.1k tokens/s  MFU 41 %  MaxVio 0.31  2 min 10 s left");
}

/// A pipe without a reader, or a full device.
class Unwritable final : public std::streambuf {
 public:
  explicit Unwritable(int error) : error_(error) {}

 private:
  int sync() override {
    errno = error_;
    return -1;
  }
  int_type overflow(int_type) override {
    errno = error_;
    return traits_type::eof();
  }

  int error_;
};

class TerminalTest : public ::testing::Test {
 protected:
  void step(Terminal& terminal, std::int64_t number) const {
    comm::StepFinished report;
    report.step = number;
    report.metrics["loss"] = 4.0;
    const std::array<coordinator::LayerLoadStatistics, 2> layers{
        coordinator::LayerLoadStatistics{.layer = 1, .max_violation_window = 0.25},
        coordinator::LayerLoadStatistics{.layer = 2, .max_violation_window = 0.75}};
    terminal.step_finished({0.0, 1, 10, report, layers});
  }
  [[nodiscard]] std::string taken() {
    std::string text = out_.str();
    out_.str({});
    return text;
  }

  std::ostringstream out_;
  ManualClock clock_;
};

TEST_F(TerminalTest, OutputThatCannotBeWrittenIsToldWithItsReason) {
  Unwritable pipe(EPIPE);
  std::ostream out(&pipe);
  std::vector<int> told;
  Terminal terminal(out, {}, clock_, [&](int error) { told.push_back(error); });
  terminal.note(coordinator::Severity::kInfo, "first");
  terminal.note(coordinator::Severity::kInfo, "second");
  EXPECT_THAT(told, ::testing::ElementsAre(EPIPE, EPIPE));
}

TEST_F(TerminalTest, ElsewhereThanOnATerminalThereAreOnlyPlainLinesNotTooMany) {
  Terminal terminal(out_, {}, clock_);
  for (int number = 1; number <= 10; ++number) {
    step(terminal, number);
    clock_.advance(std::chrono::seconds(1));
  }
  const std::string text = taken();
  EXPECT_EQ(std::ranges::count(text, '\n'), 3) << "steps 1, 6 and the last:\n" << text;
  EXPECT_THAT(text, HasSubstr("step 10/10  loss 4.0000  MaxVio 0.75"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
}

TEST_F(TerminalTest, OnATerminalOneLineKeepsItselfCurrent) {
  Terminal terminal(out_, {.is_interactive = true, .has_colour = false, .columns = 80}, clock_);
  step(terminal, 1);
  EXPECT_EQ(taken(), "step 1/10  loss 4.0000  MaxVio 0.75");
  clock_.advance(std::chrono::seconds(2));
  step(terminal, 2);
  EXPECT_EQ(taken(), "\r\x1b[2Kstep 2/10  loss 4.0000  MaxVio 0.75  16 s left");
}

TEST_F(TerminalTest, WarningsStandAboveTheStatusLine) {
  Terminal terminal(out_, {.is_interactive = true, .has_colour = false, .columns = 80}, clock_);
  step(terminal, 1);
  (void)taken();
  terminal.note(coordinator::Severity::kWarning, "worker 3 is silent");
  EXPECT_EQ(taken(), "\r\x1b[2Kwarning: worker 3 is silent\nstep 1/10  loss 4.0000  MaxVio 0.75");
}

TEST_F(TerminalTest, TheStatusLineFitsANarrowTerminal) {
  Terminal terminal(out_, {.is_interactive = true, .has_colour = false, .columns = 11}, clock_);
  step(terminal, 1);
  EXPECT_EQ(taken(), "step 1/10 ");
}

TEST_F(TerminalTest, TextOfTheModelIsMadeHarmless) {
  Terminal terminal(out_, {}, clock_);
  terminal.sample_finished({.step = 4, .prompt = "The ", .text = "end\x1b]0;owned\x07"});
  EXPECT_EQ(taken(), "step 4: the model writes\n  | The end?]0;owned?\n");
}

TEST_F(TerminalTest, AFailureSaysWhatHappenedAndWhatTheJobPrintedLast) {
  Terminal terminal(out_, {}, clock_);
  coordinator::RunOutcome outcome;
  outcome.message = "worker 3 (host a, process 7) is gone";
  outcome.step = 12;
  outcome.log_file = "/run/logs/workers-1.log";
  outcome.log_tail = "one\ntwo";
  terminal.print_end(outcome, {{"metrics", "/run/metrics.jsonl"}}, "troupe train x");
  EXPECT_EQ(taken(),
            "failed at step 12\n"
            "error: worker 3 (host a, process 7) is gone\n"
            "the end of /run/logs/workers-1.log:\n"
            "  | one\n  | two\n"
            "  metrics  /run/metrics.jsonl\n"
            "  next  troupe train x\n");
}

TEST_F(TerminalTest, DomainsAreListedByTheFirstAndTheLastEvaluationOnly) {
  Terminal terminal(out_, {}, clock_);
  coordinator::EvaluationSummary evaluation;
  evaluation.domains = {{"en", {}}, {"fr", {}}};
  terminal.evaluation_finished(evaluation);
  EXPECT_THAT(taken(), HasSubstr("fr"));
  step(terminal, 5);
  (void)taken();
  evaluation.step = 5;
  terminal.evaluation_finished(evaluation);
  EXPECT_THAT(taken(), Not(HasSubstr("fr")));
}

}  // namespace
}  // namespace troupe::cli
