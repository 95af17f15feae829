#include "comm/control/messages/cbor.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace troupe::comm::detail {
namespace {

using namespace std::string_literals;
using nlohmann::json;

template <class Read>
bool is_refused(const std::string& bytes, Read read) {
  try {
    CborReader in(bytes);
    read(in);
    in.end();
    return false;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    return true;
  }
}

const auto integer = [](CborReader& in) { (void)in.integer(); };
const auto text = [](CborReader& in) { (void)in.text(); };
const auto list = [](CborReader& in) { (void)in.list(); };
const auto map = [](CborReader& in) { (void)in.map(); };

const std::vector<std::int64_t> kIntegers{0,           23,
                                          24,          255,
                                          256,         65'535,
                                          65'536,      4294967295LL,
                                          1LL << 32,   std::numeric_limits<std::int64_t>::max(),
                                          -1,          -24,
                                          -25,         -256,
                                          -257,        -4294967296,
                                          -4294967297, std::numeric_limits<std::int64_t>::min()};

TEST(Cbor, WritesWhatTheLibraryReads) {
  for (const std::int64_t value : kIntegers) {
    CborWriter out;
    out.integer(value);
    EXPECT_EQ(json::from_cbor(out.take()), json(value));
  }
  CborWriter out;
  out.map(2);
  out.text("list");
  out.list(5);
  out.unsigned_integer(std::numeric_limits<std::uint64_t>::max());
  out.number(0.1);
  out.number(1.5F);
  out.boolean(true);
  out.boolean(false);
  out.text("text");
  out.text(std::string(300, 'x'));
  const json value = {{"list", {std::numeric_limits<std::uint64_t>::max(), 0.1, 1.5F, true, false}},
                      {"text", std::string(300, 'x')}};
  EXPECT_EQ(json::from_cbor(out.take()), value);
}

TEST(Cbor, ReadsWhatTheLibraryWrites) {
  for (const std::int64_t value : kIntegers) {
    std::string bytes;
    json::to_cbor(json(value), bytes);
    EXPECT_EQ(CborReader(bytes).integer(), value);
  }
  std::string bytes;
  json::to_cbor({{"list", {0.1, -2.5F, true, ""}}}, bytes);
  CborReader in(bytes);
  EXPECT_EQ(in.map(), 1U);
  EXPECT_EQ(in.text(), "list");
  EXPECT_EQ(in.list(), 4U);
  EXPECT_EQ(in.number64(), 0.1);
  EXPECT_EQ(in.number32(), -2.5F);
  EXPECT_TRUE(in.boolean());
  EXPECT_EQ(in.text(), "");
  in.end();
}

TEST(Cbor, RefusesCountsBeyondTheBytes) {
  EXPECT_TRUE(is_refused("\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", list));  // 2^64 - 1 elements
  EXPECT_TRUE(
      is_refused("\xBB\x80\x00\x00\x00\x00\x00\x00\x00"s + std::string(64, '\0'), map));  // twice wraps
  EXPECT_TRUE(is_refused("\x7B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", text));
  EXPECT_TRUE(is_refused("\x82\x01", list));
  EXPECT_TRUE(is_refused("\xA1\x01", map));
}

TEST(Cbor, RefusesItemsThatAreNotAllThere) {
  EXPECT_TRUE(is_refused("", integer));
  EXPECT_TRUE(is_refused("\x19\x01", integer));
  EXPECT_TRUE(is_refused("\x63xy", text));
  EXPECT_TRUE(is_refused("\xFB\x01\x02", [](CborReader& in) { (void)in.number64(); }));
}

TEST(Cbor, RefusesOtherItems) {
  EXPECT_TRUE(is_refused("\x1B\x80\x00\x00\x00\x00\x00\x00\x00"s, integer));  // 2^63
  EXPECT_TRUE(is_refused("\x3B\x80\x00\x00\x00\x00\x00\x00\x00"s, integer));  // -2^63 - 1
  EXPECT_TRUE(is_refused("\x20", [](CborReader& in) { (void)in.unsigned_integer(); }));
  EXPECT_TRUE(is_refused("\xF6", [](CborReader& in) { (void)in.boolean(); }));  // null
  EXPECT_TRUE(is_refused("\xFA\x01\x02\x03\x04", [](CborReader& in) { (void)in.number64(); }));
  EXPECT_TRUE(is_refused("\x41x", text));        // byte string
  EXPECT_TRUE(is_refused("\xC0\x01", integer));  // tag
  EXPECT_TRUE(is_refused("\x61\xFF", text));     // not UTF-8
  EXPECT_TRUE(is_refused("\x01\x01", integer));  // two values
  EXPECT_TRUE(is_refused("\x9F\xFF", list));     // indefinite lengths
  EXPECT_TRUE(is_refused("\x7F\xFF", text));
}

}  // namespace
}  // namespace troupe::comm::detail
