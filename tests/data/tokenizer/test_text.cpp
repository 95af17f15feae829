#include "tests/data/tokenizer/test_text.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "base/file.h"
#include "data/tokenizer/bpe_trainer.h"

namespace troupe::data {
namespace {

struct Script {
  std::uint32_t first;
  std::uint32_t last;
};

constexpr Script kScripts[] = {{0x20, 0x7E},      {0x00, 0x20},       {0x80, 0xFF},       {0x100, 0x24F},
                               {0x300, 0x36F},  // Latin, marks
                               {0x370, 0x3E1},    {0x400, 0x481},     {0x5D0, 0x5EA},     {0x600, 0x6FF},
                               {0x900, 0x97F},  // to Devanagari
                               {0xE01, 0xE5B},    {0x1780, 0x17F9},   {0x2000, 0x206F},   {0x2070, 0x218B},
                               {0x2190, 0x23FF},  {0x3000, 0x30FF},   {0x4E00, 0x9FFF},   {0xAC00, 0xD7A3},
                               {0xFF01, 0xFFEE},  {0x10300, 0x10323}, {0x1D400, 0x1D7FF}, {0x1F300, 0x1F6D5},
                               {0x20000, 0x20FFF}};
constexpr std::string_view kPieces[] = {"'s",     "'t", "'re", "'ve", "'m",   "'ll",    "'d",     "'",
                                        " ",      "  ", "\n",  "\t ", "\r\n", "\u00A0", "\u3000", "\u2028",
                                        "\u0085", "a",  " b",  "7",   "!?",   " '"};

}  // namespace

std::vector<std::string> committed_texts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(TROUPE_SOURCE_DIR "/tests/data/text")) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const auto& path : paths) texts.push_back(read_file(path, 1 << 20));
  return texts;
}

std::string utf8(std::uint32_t code_point) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  const auto tail = [&](int shift) { return byte(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) return {byte(code_point)};
  if (code_point < 0x800) return {byte(0xC0 | code_point >> 6), tail(0)};
  if (code_point < 0x10000) return {byte(0xE0 | code_point >> 12), tail(6), tail(0)};
  return {byte(0xF0 | code_point >> 18), tail(12), tail(6), tail(0)};
}

std::string random_text(const Random& random, std::uint64_t seed, std::size_t characters) {
  std::string text;
  for (std::uint64_t i = 0; i < characters; ++i) {
    const std::array<std::uint32_t, 4> words = random.words(seed << 32 | i);
    if (words[0] % 3 == 0) {
      text += kPieces[words[1] % std::size(kPieces)];
    } else {
      const Script& script = kScripts[words[1] % std::size(kScripts)];
      for (std::uint32_t j = 0; j <= words[2] % 4; ++j) {
        text += utf8(script.first + (words[3] >> (7 * j)) % (script.last - script.first + 1));
      }
    }
  }
  return text;
}

std::string random_bytes(const Random& random, std::uint64_t seed, std::size_t size) {
  std::string bytes;
  for (std::uint64_t i = 0; i < size; ++i) bytes += static_cast<char>(random.bits(seed << 32 | i) & 0xFF);
  return bytes;
}

const Tokenizer& small_tokenizer() {
  static const Tokenizer tokenizer = [] {
    BpeTrainer trainer({.vocab_size = 600});
    for (const std::string& text : committed_texts()) trainer.add_document(text);
    return Tokenizer(trainer.train());
  }();
  return tokenizer;
}

}  // namespace troupe::data
