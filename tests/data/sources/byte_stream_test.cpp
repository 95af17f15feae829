#include "data/sources/byte_stream.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/data/expect_error.h"
#include "tests/data/sources/packed.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

std::string read_all(const std::filesystem::path& file, std::size_t piece = 1000) {
  const auto stream = open_byte_stream(file);
  std::string all;
  std::string buffer(piece, '\0');
  while (const std::size_t got = stream->read(buffer)) all.append(buffer, 0, got);
  return all;
}

std::string some_text(std::size_t bytes) {
  const Random random(2, RandomPurpose::kTest);
  std::string text;
  for (std::uint64_t i = 0; text.size() < bytes; ++i) text += std::to_string(random.below(i, 1000)) + ' ';
  return text;
}

struct Format {
  const char* name;
  std::string (*pack)(const std::string&);
};

class Packed : public ::testing::TestWithParam<Format> {
 protected:
  void write(const std::string& bytes) { write_file_atomically(folder_ / "file", bytes); }
  test::ScratchFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Formats, Packed,
                         ::testing::Values(Format{"gzip", gzip}, Format{"zstd", zstd}, Format{"xz", xz}),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_P(Packed, GivesBackWhatWasPackedAlsoInSeveralMembers) {
  const std::string text = some_text(700'000);
  write(GetParam().pack(text) + GetParam().pack("") + GetParam().pack("and more"));
  EXPECT_EQ(read_all(folder_ / "file"), text + "and more");
  EXPECT_EQ(read_all(folder_ / "file", 1 << 20), text + "and more");
}

TEST_P(Packed, RefusesDataThatEndTooEarly) {
  const std::string packed = GetParam().pack(some_text(300'000));
  for (const std::size_t size : {packed.size() - 1, packed.size() / 2, std::size_t{20}}) {
    write(packed.substr(0, size));
    expect_error(ErrorCode::kCorrupt, "damaged", [&] { (void)read_all(folder_ / "file"); });
  }
}

TEST_P(Packed, DamagedBytesNeverCrashAndAreRefusedOrHarmless) {
  const std::string text = some_text(3000);
  const std::string packed = GetParam().pack(text);
  for (std::size_t place = 0; place < packed.size(); place += 3) {
    std::string bad = packed;
    bad[place] = static_cast<char>(bad[place] ^ 0x10);
    write(bad);
    try {
      (void)read_all(folder_ / "file");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    }
  }
}

TEST(ByteStream, GivesPlainFilesAsTheyAre) {
  const test::ScratchFolder folder;
  for (const std::string& text : {std::string(), std::string("a"), some_text(500'000)}) {
    write_file_atomically(folder / "plain", text);
    EXPECT_EQ(read_all(folder / "plain"), text);
  }
}

}  // namespace
}  // namespace troupe::data
