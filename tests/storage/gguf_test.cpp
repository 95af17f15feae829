#include "storage/gguf/writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "tests/scratch_folder.h"

namespace troupe::storage::gguf {
namespace {

/// Reads the format by its description, byte by byte.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
  }
  template <class T>
  T number() {
    T value{};
    std::memcpy(&value, bytes_.data() + place_, sizeof value);
    place_ += sizeof value;
    return value;
  }
  std::string text() {
    const auto size = number<std::uint64_t>();
    place_ += size;
    return bytes_.substr(place_ - size, size);
  }
  void align() { place_ = (place_ + 31) / 32 * 32; }
  void go_to(std::size_t place) { place_ = place; }
  [[nodiscard]] std::size_t place() const { return place_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t place_ = 0;
};

TEST(GgufWriter, WritesWhatTheFormatSays) {
  const test::ScratchFolder folder;
  const auto path = folder / "model.gguf";
  const Metadata metadata{{"general.architecture", "llama"},
                          {"llama.block_count", std::uint32_t{7}},
                          {"llama.epsilon", 0.5F},
                          {"tokenizer.add_bos_token", true},
                          {"tokenizer.tokens", std::vector<std::string>{"a", ""}},
                          {"tokenizer.types", std::vector<std::int32_t>{1, -3}}};
  Writer writer(path, metadata, {{"matrix", {2, 3}, ValueType::kBf16}, {"vector", {3}, ValueType::kF32}});
  const std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8, 9};
  writer.write(std::span(values).first(4));
  writer.write(std::span(values).subspan(4));
  EXPECT_FALSE(std::filesystem::exists(path)) << "before it is whole";
  writer.finish();

  Reader reader(path);
  EXPECT_EQ(reader.number<std::uint32_t>(), 0x46554747U);  // "GGUF"
  EXPECT_EQ(reader.number<std::uint32_t>(), 3U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 2U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 6U);
  EXPECT_EQ(reader.text(), "general.architecture");
  EXPECT_EQ(reader.number<std::uint32_t>(), 8U);
  EXPECT_EQ(reader.text(), "llama");
  EXPECT_EQ(reader.text(), "llama.block_count");
  EXPECT_EQ(reader.number<std::uint32_t>(), 4U);
  EXPECT_EQ(reader.number<std::uint32_t>(), 7U);
  EXPECT_EQ(reader.text(), "llama.epsilon");
  EXPECT_EQ(reader.number<std::uint32_t>(), 6U);
  EXPECT_EQ(reader.number<float>(), 0.5F);
  EXPECT_EQ(reader.text(), "tokenizer.add_bos_token");
  EXPECT_EQ(reader.number<std::uint32_t>(), 7U);
  EXPECT_EQ(reader.number<std::uint8_t>(), 1U);
  EXPECT_EQ(reader.text(), "tokenizer.tokens");
  EXPECT_EQ(reader.number<std::uint32_t>(), 9U);
  EXPECT_EQ(reader.number<std::uint32_t>(), 8U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 2U);
  EXPECT_EQ(reader.text(), "a");
  EXPECT_EQ(reader.text(), "");
  EXPECT_EQ(reader.text(), "tokenizer.types");
  EXPECT_EQ(reader.number<std::uint32_t>(), 9U);
  EXPECT_EQ(reader.number<std::uint32_t>(), 5U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 2U);
  EXPECT_EQ(reader.number<std::int32_t>(), 1);
  EXPECT_EQ(reader.number<std::int32_t>(), -3);
  EXPECT_EQ(reader.text(), "matrix");
  EXPECT_EQ(reader.number<std::uint32_t>(), 2U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 3U);  // the fastest first
  EXPECT_EQ(reader.number<std::uint64_t>(), 2U);
  EXPECT_EQ(reader.number<std::uint32_t>(), 30U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 0U);
  EXPECT_EQ(reader.text(), "vector");
  EXPECT_EQ(reader.number<std::uint32_t>(), 1U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 3U);
  EXPECT_EQ(reader.number<std::uint32_t>(), 0U);
  EXPECT_EQ(reader.number<std::uint64_t>(), 32U);
  reader.align();
  const std::size_t data = reader.place();
  for (const std::uint16_t bits : {0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0, 0x40C0})
    EXPECT_EQ(reader.number<std::uint16_t>(), bits);
  reader.go_to(data + 32);
  for (const float value : {7.0F, 8.0F, 9.0F}) EXPECT_EQ(reader.number<float>(), value);
  EXPECT_EQ(reader.size(), data + 64) << "the last tensor is padded, too";
}

TEST(GgufWriter, WhatIsNotFinishedLeavesNothing) {
  const test::ScratchFolder folder;
  {
    Writer writer(folder / "model.gguf", {}, {{"vector", {3}, ValueType::kF32}});
    writer.write(std::vector<float>{1, 2});
    EXPECT_THROW(writer.finish(), Error);
    EXPECT_THROW(writer.write(std::vector<float>{1, 2}), Error) << "more than announced";
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace troupe::storage::gguf
