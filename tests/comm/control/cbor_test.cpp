#include "comm/control/cbor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "comm/control/utf8.h"

namespace troupe::comm::detail {
namespace {

using namespace std::string_literals;
using nlohmann::json;

bool is_refused(const std::string& bytes) {
  try {
    (void)parse_cbor(bytes);
    return false;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    return true;
  }
}

std::string repeated(char byte, std::size_t times) { return std::string(times, byte); }

TEST(Cbor, ReadsWhatTheLibraryWrites) {
  const json value = {{"list", {1, -2, 1ULL << 40, 0.1, 1.5F, true, nullptr, ""}}, {"map", {{"k", "v"}}}};
  std::string bytes;
  json::to_cbor(value, bytes);
  EXPECT_EQ(parse_cbor(bytes), value);
}

TEST(Cbor, AcceptsDepthUpToTheLimitOnly) {
  EXPECT_FALSE(is_refused(repeated('\x81', kMaxCborDepth) + '\x00'));
  EXPECT_TRUE(is_refused(repeated('\x81', kMaxCborDepth + 1) + '\x00'));
}

TEST(Cbor, SurvivesDepthBombsOfEveryKind) {
  constexpr std::size_t kBytes = 8 << 20;
  EXPECT_TRUE(is_refused(repeated('\x81', kBytes)));  // lists of one
  EXPECT_TRUE(is_refused(repeated('\xA1', kBytes)));  // maps of one
  EXPECT_TRUE(is_refused(repeated('\x9F', kBytes)));  // lists of indefinite length
  EXPECT_TRUE(is_refused(repeated('\x7F', kBytes)));  // text of indefinite length, inside itself
  EXPECT_TRUE(is_refused(repeated('\x5F', kBytes)));  // bytes of indefinite length, inside themselves
  EXPECT_TRUE(is_refused(repeated('\xC1', kBytes)));  // tags of tags
}

TEST(Cbor, RefusesCountsBeyondTheBytesBeforeAllocating) {
  EXPECT_TRUE(is_refused("\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));                        // 2^64 - 1 elements
  EXPECT_TRUE(is_refused("\xBB\x80\x00\x00\x00\x00\x00\x00\x00"s + repeated('\0', 64)));  // twice that wraps
  EXPECT_TRUE(is_refused("\x7B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));                        // text
  EXPECT_TRUE(is_refused("\x82\x01"));
}

TEST(Cbor, RefusesMoreElementsThanTheLimit) {
  std::string bytes = "\x9A";
  const std::size_t count = kMaxCborElements;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(count >> shift);
  EXPECT_TRUE(is_refused(bytes + repeated('\x01', count)));
}

TEST(Cbor, RefusesWhatNoMessageContains) {
  EXPECT_TRUE(is_refused(""));
  EXPECT_TRUE(is_refused("\x41x"));         // byte string
  EXPECT_TRUE(is_refused("\xC0\x01"));      // tag
  EXPECT_TRUE(is_refused("\xF7"));          // undefined
  EXPECT_TRUE(is_refused("\x61\xFF"));      // text that is not UTF-8
  EXPECT_TRUE(is_refused("\x01\x01"));      // two values
  EXPECT_TRUE(is_refused("\xA1\x01\x01"));  // a map's key that is no text
}

TEST(Utf8, TellsCharactersFromOtherBytes) {
  EXPECT_TRUE(is_utf8("a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x8C\x8D"));
  EXPECT_FALSE(is_utf8("\x80"));              // a continuation alone
  EXPECT_FALSE(is_utf8("\xC3"));              // cut
  EXPECT_FALSE(is_utf8("\xC0\xAF"));          // too long a form
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));      // a surrogate
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));  // behind the last code point
}

TEST(Utf8, ReplacesOnlyWrongBytes) {
  EXPECT_EQ(to_utf8("a\xFF\xC3\xBC\xC3"), "a\xEF\xBF\xBD\xC3\xBC\xEF\xBF\xBD");
}

}  // namespace
}  // namespace troupe::comm::detail
