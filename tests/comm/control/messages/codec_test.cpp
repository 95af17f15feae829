#include "comm/control/messages/codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "tests/comm/control/messages/example_messages.h"

namespace troupe::comm {
namespace {

using namespace std::string_literals;

/// Keeps the order of its fields, as messages do.
using json = nlohmann::ordered_json;

std::string cbor(const json& value) {
  std::string bytes;
  json::to_cbor(value, bytes);
  return bytes;
}

/// The StopTraining message as a value, to be spoilt.
json stop_training() { return {{"type", "StopTraining"}, {"fields", {{"reason", "enough"}}}}; }

void expect_refused(const json& value) {
  try {
    (void)decode_coordinator_message(cbor(value));
    FAIL() << "accepts " << value;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  }
}

TEST(Codec, BringsEveryWorkerMessageAcross) {
  const auto messages = example_worker_messages();
  ASSERT_EQ(messages.size(), std::variant_size_v<WorkerMessage>);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].index(), i) << "an example of each message";
    EXPECT_EQ(decode_worker_message(encode(messages[i])), messages[i]) << "message " << i;
  }
}

TEST(Codec, BringsEveryCoordinatorMessageAcross) {
  const auto messages = example_coordinator_messages();
  ASSERT_EQ(messages.size(), std::variant_size_v<CoordinatorMessage>);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].index(), i) << "an example of each message";
    EXPECT_EQ(decode_coordinator_message(encode(messages[i])), messages[i]) << "message " << i;
  }
}

TEST(Codec, KeepsFloatingPointBits) {
  StepFinished step;
  step.metrics = {
      {"nan", std::nan("")}, {"infinite", -INFINITY}, {"third", 1.0 / 3.0}, {"tiny", 5e-324}, {"zero", -0.0}};
  step.loads = {{0, {1}, {1.0F / 3.0F}}};
  auto read = std::get<StepFinished>(decode_worker_message(encode(WorkerMessage(step))));
  EXPECT_TRUE(std::isnan(read.metrics.at("nan")));
  EXPECT_TRUE(std::signbit(read.metrics.at("zero")));
  read.metrics.erase("nan");
  step.metrics.erase("nan");
  EXPECT_EQ(read, step);
}

TEST(Codec, ReplacesWhatIsNotUtf8) {
  const WorkerMessage sample = SampleFinished{1, "p", "half a character: \xF0\x9F"};
  const auto read = std::get<SampleFinished>(decode_worker_message(encode(sample)));
  EXPECT_EQ(read.text, "half a character: \xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Codec, RefusesOtherShapesThanAMessage) {
  EXPECT_EQ(decode_coordinator_message(cbor(stop_training())), CoordinatorMessage(StopTraining{"enough"}));
  expect_refused(json::array());
  expect_refused(1);
  expect_refused({{"type", "StopTraining"}});
  json extra = stop_training();
  extra["more"] = 1;
  expect_refused(extra);
  json unknown = stop_training();
  unknown["type"] = "StartWorldWar";
  expect_refused(unknown);
  expect_refused({{"fields", {{"reason", "enough"}}}, {"type", "StopTraining"}});
  json number = stop_training();
  number["type"] = 7;
  expect_refused(number);
}

TEST(Codec, RefusesUnknownMissingAndMistypedFields) {
  json unknown = stop_training();
  unknown["fields"]["more"] = 1;
  expect_refused(unknown);
  json missing = stop_training();
  missing["fields"].clear();
  expect_refused(missing);
  json mistyped = stop_training();
  mistyped["fields"]["reason"] = 1.5;
  expect_refused(mistyped);
  expect_refused({{"type", "StartTraining"}, {"fields", {{"world_size", 1ULL << 63}, {"checkpoint", ""}}}});
  expect_refused({{"type", "StartTraining"}, {"fields", {{"world_size", "1"}, {"checkpoint", ""}}}});
  expect_refused({{"type", "StartTraining"}, {"fields", {{"checkpoint", ""}, {"world_size", 1}}}});
}

TEST(Codec, RefusesMessagesOfTheOtherDirection) {
  EXPECT_THROW((void)decode_worker_message(encode(CoordinatorMessage(Dismiss{}))), Error);
  EXPECT_THROW((void)decode_coordinator_message(encode(WorkerMessage(WorkerActive{}))), Error);
}

TEST(Codec, ClaimsNoMemoryForCountsAlone) {
  // A list of 2^26 loads, as long as the bytes that follow it, which are none.
  std::string bytes =
      "\xA2\x64type\x72"
      "EvaluationFinished\x66"
      "fields\xA3\x64step\x00\x67"s;
  bytes +=
      "domains\xA0\x65"
      "loads\x9A\x04\x00\x00\x00"s +
      std::string(std::size_t{1} << 26, '\0');
  EXPECT_THROW((void)decode_worker_message(bytes), Error);
}

/// Damages some bytes, and sometimes cuts or stretches the whole.
std::string mutated(std::string bytes, const Random& random, std::uint64_t number) {
  const std::uint64_t changes = 1 + random.below(16 * number, 4);
  for (std::uint64_t i = 1; i <= changes; ++i) {
    const std::size_t at = random.below(16 * number + i, bytes.size());
    bytes[at] = static_cast<char>(random.bits(16 * number + i + 5));
  }
  const std::uint64_t kind = random.below(16 * number + 14, 4);
  if (kind == 0) bytes.resize(random.below(16 * number + 15, bytes.size()));
  if (kind == 1) bytes += bytes;
  return bytes;
}

TEST(Codec, AnswersEveryMutationWithAMessageOrACleanError) {
  const Random random(7, RandomPurpose::kTest);
  const auto messages = example_worker_messages();
  int refused = 0;
  for (std::uint64_t number = 0; number < 4000; ++number) {
    const std::string bytes = mutated(encode(messages[number % messages.size()]), random, number);
    try {
      (void)decode_worker_message(bytes);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 2000);
}

}  // namespace
}  // namespace troupe::comm
