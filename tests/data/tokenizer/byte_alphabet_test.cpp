#include "data/tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

#include <string>

namespace troupe::data {
namespace {

std::string all_bytes() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  return bytes;
}

TEST(ByteAlphabet, EveryByteComesBack) { EXPECT_EQ(from_alphabet(to_alphabet(all_bytes())), all_bytes()); }

TEST(ByteAlphabet, WritesTheBytesAsGpt2Does) {
  EXPECT_EQ(to_alphabet("Hi !\n\t"), "HiĠ!Ċĉ");
  EXPECT_EQ(to_alphabet("\x7F\xA0\xAD\xFF"), "ġłŃÿ");
}

TEST(ByteAlphabet, BeginsWithThePrintableBytes) {
  const auto order = bytes_in_alphabet_order();
  EXPECT_EQ(order[0], '!');
  EXPECT_EQ(order[93], '~');
  EXPECT_EQ(order[94], 0xA1);
  EXPECT_EQ(order[188], 0x00);
  EXPECT_EQ(order[255], 0xAD);
}

TEST(ByteAlphabet, RefusesCharactersThatStandForNoByte) {
  for (const char* text : {" ", "\n", "\xC4", "\xC4 ", "\u0144", "€", "a b", "\xFF"}) {
    EXPECT_EQ(from_alphabet(text), std::nullopt) << text;
  }
  EXPECT_NE(from_alphabet("\u0143"), std::nullopt);
}

}  // namespace
}  // namespace troupe::data
