#include "comm/control/link/handshake.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace troupe::comm {
namespace {

struct HandshakeTest : testing::Test {
  Secret secret = make_secret();
  Nonces nonces{make_secret(), make_secret()};
};

TEST_F(HandshakeTest, EndsKnowEachOtherByTheSecret) {
  const std::string challenge = make_challenge(nonces.server);
  EXPECT_EQ(challenge.size(), kChallengeBytes);
  EXPECT_EQ(read_challenge(challenge), nonces.server);
  const std::string answer = make_answer(secret, nonces, 42);
  EXPECT_EQ(answer.size(), kAnswerBytes);
  Nonces seen{nonces.server, {}};
  EXPECT_EQ(check_answer(secret, seen, answer), 42);
  EXPECT_EQ(seen.client, nonces.client);
  for (const Verdict verdict : {Verdict{true, 42}, Verdict{false, 43}}) {
    const std::string bytes = make_verdict(secret, seen, verdict);
    EXPECT_EQ(bytes.size(), kVerdictBytes);
    EXPECT_EQ(check_verdict(secret, nonces, bytes), verdict);
  }
}

TEST_F(HandshakeTest, AnotherSecretProvesNothing) {
  const Secret other = make_secret();
  EXPECT_THROW((void)check_answer(other, nonces, make_answer(secret, nonces, 1)), Error);
  EXPECT_THROW((void)check_verdict(other, nonces, make_verdict(secret, nonces, {true, 1})), Error);
}

TEST_F(HandshakeTest, AnAnswerProvesNothingInAnotherHandshake) {
  const std::string replayed = make_answer(secret, nonces, 1);
  Nonces fresh{make_secret(), {}};
  EXPECT_THROW((void)check_answer(secret, fresh, replayed), Error);
}

TEST_F(HandshakeTest, EveryByteCounts) {
  const std::string answer = make_answer(secret, nonces, 1);
  const std::string verdict = make_verdict(secret, nonces, {true, 1});
  for (std::size_t i = 0; i < answer.size(); ++i) {
    std::string bad = answer;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    Nonces seen{nonces.server, {}};
    EXPECT_THROW((void)check_answer(secret, seen, bad), Error) << i;
  }
  for (std::size_t i = 0; i < verdict.size(); ++i) {
    std::string bad = verdict;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_THROW((void)check_verdict(secret, nonces, bad), Error) << i;
  }
}

TEST_F(HandshakeTest, RefusesFramesOfAnotherSizeOrKind) {
  EXPECT_THROW((void)read_challenge(""), Error);
  EXPECT_THROW((void)read_challenge(std::string(kChallengeBytes, 'x')), Error);
  EXPECT_THROW((void)check_answer(secret, nonces, make_answer(secret, nonces, 1) + "x"), Error);
  EXPECT_THROW((void)check_verdict(secret, nonces, make_answer(secret, nonces, 1)), Error);
}

}  // namespace
}  // namespace troupe::comm
