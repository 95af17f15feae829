#include "comm/control/link/frame.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace troupe::comm {
namespace {

std::vector<Frame> example_frames() {
  return {{FrameKind::kMessage, 7, 1, "hello"},
          {FrameKind::kAcknowledgement, -1, ~std::uint64_t{0}, ""},
          {FrameKind::kMessage, 0, 2, std::string(1000, '\0')}};
}

std::string encoded(const std::vector<Frame>& frames) {
  std::string bytes;
  for (const Frame& frame : frames) bytes += encode_frame(frame);
  return bytes;
}

/// All frames of a stream that is fed in pieces; throws at damage.
std::vector<Frame> decode(std::string_view bytes, std::size_t piece) {
  FrameDecoder decoder;
  std::vector<Frame> frames;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    decoder.feed(bytes.substr(at, piece));
    while (auto frame = decoder.next()) frames.push_back(std::move(*frame));
  }
  return frames;
}

void expect_refused(const std::string& bytes) {
  FrameDecoder decoder;
  decoder.feed(bytes);
  try {
    (void)decoder.next();
    FAIL() << "accepts it";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  }
}

TEST(Frame, ArrivesWholeHoweverTheStreamIsCut) {
  const std::string bytes = encoded(example_frames());
  for (const std::size_t piece :
       {std::size_t{1}, std::size_t{7}, std::size_t{27}, std::size_t{28}, bytes.size()}) {
    EXPECT_EQ(decode(bytes, piece), example_frames()) << piece;
  }
}

TEST(Frame, KnowsWhetherTheStreamMayEnd) {
  const std::string bytes = encode_frame({FrameKind::kMessage, 1, 1, "payload"});
  FrameDecoder decoder;
  decoder.feed(bytes.substr(0, bytes.size() - 1));
  EXPECT_FALSE(decoder.next().has_value());
  EXPECT_TRUE(decoder.in_frame());
  decoder.feed(bytes.substr(bytes.size() - 1));
  EXPECT_TRUE(decoder.next().has_value());
  EXPECT_FALSE(decoder.in_frame());
}

TEST(Frame, RefusesALengthAboveTheLimitFromTheHeaderAlone) {
  std::string header = encode_frame({FrameKind::kMessage, 1, 1, ""});
  const auto set_length = [&](std::uint32_t length) {
    for (int i = 0; i < 4; ++i)
      header[static_cast<std::size_t>(8 + i)] = static_cast<char>(length >> (8 * i));
  };
  set_length(kMaxPayloadBytes);
  FrameDecoder decoder;
  decoder.feed(header);
  EXPECT_FALSE(decoder.next().has_value());
  set_length(kMaxPayloadBytes + 1);
  expect_refused(header);
  set_length(~std::uint32_t{0});
  expect_refused(header);
}

TEST(Frame, RefusesWhatIsNoHeader) {
  const std::string good = encode_frame({FrameKind::kMessage, 1, 1, ""});
  expect_refused(std::string("GET / HTTP/1.1\r\nHost: localhost\r\n"));
  for (const std::size_t at : {0, 1, 2, 3, 4, 5, 6, 7}) {  // magic, version, kind, zeros
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] + 9);
    expect_refused(bad);
  }
  std::string acknowledgement = encode_frame({FrameKind::kAcknowledgement, 1, 1, ""});
  acknowledgement[8] = 1;  // length
  expect_refused(acknowledgement);
}

TEST(Frame, RefusesToSendAboveTheLimit) {
  EXPECT_THROW((void)encode_frame({FrameKind::kMessage, 1, 1, std::string(kMaxPayloadBytes + 1, 'x')}),
               Error);
}

TEST(Frame, AnswersEveryMutationWithFramesOrACleanError) {
  const Random random(5, RandomPurpose::kTest);
  const std::string good = encoded(example_frames());
  int refused = 0;
  for (std::uint64_t number = 0; number < 4000; ++number) {
    std::string bytes = good.substr(0, 1 + random.below(4 * number, good.size()));
    bytes[random.below(4 * number + 1, bytes.size())] = static_cast<char>(random.bits(4 * number + 2));
    try {
      (void)decode(bytes, 1 + random.below(4 * number + 3, 64));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace troupe::comm
