#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/file.h"
#include "base/index.h"
#include "storage/safetensors/folder.h"
#include "storage/safetensors/writer.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"

namespace troupe::storage::safetensors {
namespace {

const std::string kSound =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"I8","shape":[],"data_offsets":[32,33]}})";
constexpr std::int64_t kDataBytes = 33;

std::vector<TensorInfo> parsed(const std::string& header) {
  return parse_header(header, kLengthBytes + std::ssize(header) + kDataBytes, "made.safetensors");
}

/// The sound header with one place changed is refused, with these words.
void expect_refused(const std::string& from, const std::string& to,
                    std::initializer_list<std::string> words) {
  std::string header = kSound;
  const std::size_t place = header.find(from);
  ASSERT_NE(place, std::string::npos) << from;
  header.replace(place, from.size(), to);
  expect_error([&] { (void)parsed(header); }, ErrorCode::kCorrupt, words);
  expect_error([&] { (void)parsed(header); }, ErrorCode::kCorrupt, {"made.safetensors"});
}

std::vector<float> numbers(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

TEST(Safetensors, HeaderTellsWhereEveryTensorLies) {
  const auto tensors = parsed(kSound);
  const std::int64_t data = kLengthBytes + std::ssize(kSound);
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[0], (TensorInfo{"a", ValueType::kF32, "F32", {2, 3}, data, data + 24}));
  EXPECT_EQ(tensors[1], (TensorInfo{"b", ValueType::kBf16, "BF16", {4}, data + 24, data + 32}));
  EXPECT_EQ(tensors[2], (TensorInfo{"c", ValueType::kOther, "I8", {}, data + 32, data + 33}));
}

TEST(Safetensors, UnsoundHeadersAreRefusedWithTheirPlace) {
  expect_refused("[24,32]", "[20,28]", {"'b' overlaps 'a' at byte"});
  expect_refused("[24,32]", "[28,36]", {"'b': its data end at byte", "but the file has"});
  expect_refused("[24,32]", "[32,24]", {"'b': data_offsets"});
  expect_refused("[24,32]", "[24]", {"'b': data_offsets"});
  expect_refused("[24,32]", "[24,-32]", {"'b': data_offsets has -32"});
  expect_refused("[24,32]", "[24,32.5]", {"'b': data_offsets has 32.5"});
  expect_refused("[24,32]", "[24,99999999999999999999]", {"'b': data_offsets"});
  expect_refused("[2,3]", "[2,4]", {"'a': [2, 4] of F32 are 32 bytes, but its data are 24"});
  expect_refused("[2,3]", "[4294967296,4294967296]", {"'a'", "more than can be"});
  expect_refused("[2,3]", "[1,1,1,1,1,1,1,2,3]", {"'a': shape is not a list"});
  expect_refused("[2,3]", "[[2],3]", {"nested deeper"});
  expect_refused("\"F32\"", "\"F31\"", {"'a' has the unknown dtype \"F31\""});
  expect_refused("\"F32\"", "7", {"'a' has the unknown dtype 7"});
  expect_refused("\"dtype\":\"F32\",", "", {"'a' has no dtype"});
  expect_refused("\"b\"", "\"a\"", {"twice"});
  expect_refused("\"a\":{", "\"a\":1,\"d\":{", {"'a' is not described"});
  expect_refused("\"b\":", "\"b\"", {"not valid JSON at byte"});
  expect_refused("[2,", "[1e999,", {"not valid JSON"});
  expect_error([] { (void)parsed("[]"); }, ErrorCode::kCorrupt, {"not a JSON object"});
}

TEST(Safetensors, EveryChangedHeaderIsReadInBoundsOrRefused) {
  for (std::size_t i = 0; i < kSound.size(); ++i) {
    for (const char changed : {'0', '9', '"', '{', ']', ' ', '\0', static_cast<char>(kSound[i] ^ 1)}) {
      std::string header = kSound;
      header[i] = changed;
      try {
        for (const TensorInfo& tensor : parsed(header)) {
          EXPECT_GE(tensor.begin, kLengthBytes + std::ssize(header));
          EXPECT_LE(tensor.end, kLengthBytes + std::ssize(header) + kDataBytes);
          EXPECT_EQ(tensor.elements() * *bits_of(tensor.type_name) / 8, tensor.end - tensor.begin);
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
      }
    }
  }
}

TEST(Safetensors, AnnouncedLengthsAreBounded) {
  const auto length = [](std::uint64_t announced, std::int64_t file) {
    std::string bytes(kLengthBytes, '\0');
    std::memcpy(bytes.data(), &announced, sizeof(announced));
    return header_length(bytes, file, "made.safetensors");
  };
  EXPECT_EQ(length(92, 100), 92);
  expect_error([&] { (void)length(93, 100); }, ErrorCode::kCorrupt, {"made.safetensors", "93 bytes"});
  expect_error([&] { (void)length(~0ULL, 100); }, ErrorCode::kCorrupt, {"at most 92"});
  expect_error([&] { (void)length(kMaximumHeaderBytes + 1, kMaximumHeaderBytes * 4); }, ErrorCode::kCorrupt,
               {"announced"});
  expect_error([] { (void)header_length("1234567", 7, "made.safetensors"); }, ErrorCode::kCorrupt,
               {"too few"});
}

TEST(Safetensors, ValuesAreRoundedToTheNearest) {
  const auto there_and_back = [](ValueType type, float value) {
    std::array<std::byte, 4> bytes{};
    from_floats(type, {&value, 1}, std::span(bytes).first(at(size_bytes(type))));
    float back = 0.0F;
    to_floats(type, bytes.data(), 1, {&back, 1});
    return back;
  };
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  EXPECT_EQ(there_and_back(ValueType::kF32, 0.1F), 0.1F);
  EXPECT_EQ(there_and_back(ValueType::kBf16, 1.0F + 0x1p-8F), 1.0F);  // a tie, to even
  EXPECT_EQ(there_and_back(ValueType::kBf16, 1.0F + 3 * 0x1p-8F), 1.0F + 0x1p-6F);
  EXPECT_EQ(there_and_back(ValueType::kBf16, -1.0F - 0x1.1p-8F), -1.0F - 0x1p-7F);
  EXPECT_EQ(there_and_back(ValueType::kF16, 1.0F + 0x1p-11F), 1.0F);
  EXPECT_EQ(there_and_back(ValueType::kF16, 1.0F + 3 * 0x1p-11F), 1.0F + 0x1p-9F);
  EXPECT_EQ(there_and_back(ValueType::kF16, 65504.0F), 65504.0F);
  EXPECT_EQ(there_and_back(ValueType::kF16, 65519.0F), 65504.0F);
  EXPECT_EQ(there_and_back(ValueType::kF16, -65520.0F), -kInfinite);
  EXPECT_EQ(there_and_back(ValueType::kF16, 0x1p-24F), 0x1p-24F);
  EXPECT_EQ(there_and_back(ValueType::kF16, 0x1p-25F), 0.0F);
  EXPECT_EQ(there_and_back(ValueType::kF16, 0x1.8p-24F), 0x1p-23F);
  EXPECT_EQ(there_and_back(ValueType::kF16, 0x1.ffep-15F),
            0x1p-14F);  // to the least normal one
  for (const ValueType type : {ValueType::kF32, ValueType::kF16, ValueType::kBf16}) {
    EXPECT_EQ(there_and_back(type, kInfinite), kInfinite);
    EXPECT_TRUE(std::isnan(there_and_back(type, std::bit_cast<float>(0x7F800001U))));
    EXPECT_TRUE(std::signbit(there_and_back(type, -0.0F)));
  }
}

TEST(Safetensors, FoldersComeBackFromOneFileAndFromShards) {
  for (const std::int64_t shard_bytes : {kDefaultShardBytes, std::int64_t{40}}) {
    const test::ScratchFolder folder;
    const std::vector<float> values = numbers(6 + 4 + 1);
    FolderWriter writer(folder.path(), {{"z", {2, 3}}, {"a", {4}}, {"m", {1, 1}}}, ValueType::kF32,
                        shard_bytes);
    writer.write(std::span(values).first(7));
    writer.write(std::span(values).subspan(7));
    writer.finish();
    const bool sharded = shard_bytes == 40;
    EXPECT_EQ(std::filesystem::exists(folder.path() / kIndexFile), sharded);
    EXPECT_EQ(std::filesystem::exists(folder.path() / kSingleFile), !sharded);
    const Folder read(folder.path());
    EXPECT_EQ(read.names(), (std::vector<std::string>{"a", "m", "z"}));
    EXPECT_EQ(read.find("b"), nullptr);
    std::vector<float> z(6);
    read.read("z", {.columns = 6}, z);
    EXPECT_EQ(z, numbers(6));
    std::vector<float> turned(6);
    read.read("z", {.rows = 3, .columns = 2, .row_stride = 1, .column_stride = 3}, turned);
    EXPECT_EQ(turned, (std::vector<float>{1, 4, 2, 5, 3, 6}));
    std::vector<float> last(1);
    read.read("m", {.columns = 1}, last);
    EXPECT_EQ(last.front(), 11.0F);
    EXPECT_THROW(read.read("z", {.begin = 1, .columns = 6}, z), Error);
  }
}

TEST(Safetensors, WhatIsNotFinishedLeavesNothing) {
  const test::ScratchFolder folder;
  {
    FolderWriter writer(folder.path(), {{"a", {4}}}, ValueType::kBf16);
    writer.write(numbers(2));
    EXPECT_THROW(writer.finish(), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, AnIndexIsComparedWithItsFiles) {
  const test::ScratchFolder folder;
  FolderWriter writer(folder.path(), {{"a", {4}}, {"b", {4}}}, ValueType::kF32, 16);
  writer.write(numbers(8));
  writer.finish();
  const auto with_index = [&](const std::string& map, std::initializer_list<std::string> words) {
    write_file_atomically(folder.path() / kIndexFile, map);
    expect_error([&] { const Folder read(folder.path()); }, ErrorCode::kCorrupt, words);
  };
  const std::string first = "model-00001-of-00002.safetensors";
  with_index(R"({"weight_map":{"a":")" + first + R"(","b":")" + first + R"("}})", {"'b' is not in " + first});
  with_index(R"({"weight_map":{"a":"../)" + first + R"("}})", {"'a'", "no plain name"});
  with_index(R"({"weight_map":{"a":7}})", {"'a'", "no plain name"});
  with_index(R"({"weight_map":[]})", {"no weight_map"});
  with_index("{", {"not valid JSON"});
  std::filesystem::copy_file(folder.path() / first, folder.path() / "model-00002-of-00002.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  with_index(R"({"weight_map":{"a":")" + first + R"(","b":"model-00002-of-00002.safetensors"}})",
             {"'a' is in"});
}

TEST(Safetensors, AFileThatEndsEarlyIsRefused) {
  const test::ScratchFolder folder;
  FolderWriter writer(folder.path(), {{"a", {4}}}, ValueType::kF32);
  writer.write(numbers(4));
  writer.finish();
  const auto path = folder.path() / kSingleFile;
  const auto whole = std::filesystem::file_size(path);
  for (std::uintmax_t size = whole; size-- > 0;) {
    std::filesystem::resize_file(path, size);
    expect_error([&] { (void)File::open(path); }, ErrorCode::kCorrupt, {"model.safetensors"});
  }
}

TEST(Safetensors, IntegersAreNotReadAsWeights) {
  const test::ScratchFolder folder;
  const std::string header = R"({"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})";
  std::string bytes(kLengthBytes, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, sizeof(length));
  write_file_atomically(folder.path() / kSingleFile, bytes + header + "1234");
  const Folder read(folder.path());
  std::vector<float> value(1);
  expect_error([&] { read.read("a", {.columns = 1}, value); }, ErrorCode::kCorrupt,
               {"'a' is of I32", "at byte"});
}

}  // namespace
}  // namespace troupe::storage::safetensors
