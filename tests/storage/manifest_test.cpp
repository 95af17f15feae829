#include "storage/manifest.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/storage/expect_error.h"
#include "tests/storage/sample_state.h"

namespace troupe::storage {
namespace {

/// Two files, two tensors of which "a" is in both.
Manifest sound_manifest() {
  Manifest manifest;
  manifest.metadata = sample_metadata(20, 2);
  manifest.tensors = {
      {"a",
       ElementType::kF32,
       Shape{3, 4},
       {{"worker-00000.h5", 0, 5, {1, 2}}, {"worker-00001.h5", 5, 7, {3, 4}}}},
      {"b/c", ElementType::kI64, Shape{2}, {{"worker-00001.h5", 0, 2, {5, 6}}}},
  };
  manifest.files = {
      {"checkpoint.h5", 1000, {7, 8}}, {"worker-00000.h5", 20, {9, 1}}, {"worker-00001.h5", 44, {2, 3}}};
  return manifest;
}

/// Its text with `from` replaced by `to` and a fitting own hash: what someone hostile would send.
std::string forged(std::string from, const std::string& to) {
  std::string text = serialize_manifest(sound_manifest());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  constexpr std::size_t kTrailerBytes = 12 + 32 + 4;
  text.resize(text.size() - kTrailerBytes);
  const std::string hash = hash_bytes(std::as_bytes(std::span(text))).to_string();
  return text + ",\n \"hash\": \"" + hash + "\"\n}\n";
}

void expect_refused(const std::function<void(Manifest&)>& spoil, std::initializer_list<std::string> parts) {
  Manifest manifest = sound_manifest();
  spoil(manifest);
  expect_error([&] { check_manifest(manifest); }, ErrorCode::kCorrupt, parts);
  expect_error([&] { (void)parse_manifest(serialize_manifest(manifest)); }, ErrorCode::kCorrupt, parts);
}

TEST(Manifest, ComesBackFromItsText) {
  EXPECT_EQ(parse_manifest(serialize_manifest(sound_manifest())), sound_manifest());
  EXPECT_EQ(parse_manifest(forged("\"step\": 20", "\"step\": 20")), sound_manifest());  // the helper is right
}

TEST(Manifest, EveryChangedByteIsNoticed) {
  const std::string text = serialize_manifest(sound_manifest());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_THROW((void)parse_manifest(changed), Error) << i;
  }
}

TEST(Manifest, EveryTruncationIsNoticed) {
  const std::string text = serialize_manifest(sound_manifest());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_THROW((void)parse_manifest(text.substr(0, size)), Error);
}

TEST(Manifest, RefusesRangesThatDoNotCoverEveryElementOnce) {
  expect_refused([](Manifest& m) { m.tensors[0].slices[1].begin = 6; }, {"'a'", "missing"});
  expect_refused([](Manifest& m) { m.tensors[0].slices[1].begin = 4; }, {"'a'", "twice"});
  expect_refused([](Manifest& m) { m.tensors[0].slices[1].count = 6; }, {"'a'", "11 elements"});
  expect_refused([](Manifest& m) { m.tensors[0].slices.pop_back(); }, {"'a'", "5 elements"});
  expect_refused([](Manifest& m) { m.tensors[0].slices.clear(); }, {"'a'"});
  expect_refused([](Manifest& m) { std::swap(m.tensors[0].slices[0], m.tensors[0].slices[1]); }, {"'a'"});
}

TEST(Manifest, RefusesLengthsThatTheFilesCannotHold) {
  expect_refused([](Manifest& m) { m.files[1].size_bytes = 19; }, {"'a'", "worker-00000.h5", "too small"});
  expect_refused(
      [](Manifest& m) {
        m.tensors[0].shape = Shape{1 << 30, 1 << 20};
        m.tensors[0].slices[1].count = (std::int64_t{1} << 50) - 5;
      },
      {"'a'", "worker-00001.h5", "too small"});
}

TEST(Manifest, RefusesFilesOutsideTheFolderOrUnlisted) {
  for (const char* name :
       {"../worker-00001.h5", "/etc/passwd", "a/b", ".hidden", "", "manifest.json", ".."}) {
    expect_refused([&](Manifest& m) { m.files[2].name = m.tensors[0].slices[1].file = name; },
                   {"no plain file name"});
  }
  expect_refused([](Manifest& m) { m.tensors[1].slices[0].file = "other.h5"; },
                 {"'b/c'", "other.h5", "not listed"});
  expect_refused([](Manifest& m) { m.files.push_back(m.files[0]); }, {"checkpoint.h5", "twice"});
}

TEST(Manifest, RefusesTensorNamesThatAreNoPathsOrCollide) {
  for (const char* name : {"", "/a", "a/", "a//b", "a/../b", ".", "a b", "a%b"}) {
    expect_refused([&](Manifest& m) { m.tensors[0].name = name; }, {"cannot name a tensor"});
  }
  expect_refused([](Manifest& m) { m.tensors[0].name = "b"; }, {"'b'", "'b/c'"});
  expect_refused([](Manifest& m) { m.tensors[1].name = "a"; }, {"'a'", "twice"});
}

TEST(Manifest, RefusesForgedNumbersAndMembers) {
  const auto refused = [](const std::string& from, const std::string& to,
                          std::initializer_list<std::string> parts) {
    expect_error([&] { (void)parse_manifest(forged(from, to)); }, ErrorCode::kCorrupt, parts);
  };
  refused("\"version\": 1", "\"version\": 2", {"version"});
  refused("\"step\": 20", "\"step\": -1", {"metadata.step"});
  refused("\"step\": 20", "\"step\": 1e3", {"metadata.step"});
  refused("\"step\": 20", "\"step\": 18446744073709551615", {"metadata.step"});
  refused("\"step\": 20", "\"step\": 99999999999999999999999", {"metadata.step"});
  refused("\"step\": 20", "\"stop\": 20", {"metadata.step", "missing"});
  refused("\"step\": 20", "\"step\": 20, \"more\": 1", {"metadata.more", "unknown"});
  refused("\"count\": 5", "\"count\": 0", {"tensors[0]", "count"});
  refused("\"count\": 5", "\"count\": 9223372036854775807", {"tensors[0]", "count"});
  refused("\"type\": \"f32\"", "\"type\": \"f16\"", {"tensors[0].type", "f16"});
  refused("\"type\": \"f32\"", "\"type\": \"u16\"", {"'a'", "u16"});
  refused("    3,\n    4", "    3037000500, 3037000500, 8", {"tensors[0].shape"});
  refused("    3,\n    4", "    0", {"tensors[0].shape"});
  refused("    3,\n    4", "    1,1,1,1,12", {"tensors[0].shape"});
  refused("    3,\n    4", "    -3, -4", {"tensors[0].shape"});
  refused("fedcba9876543210", "FEDCBA987654321", {"fingerprint"});
}

TEST(Manifest, DeepNestingEndsInAnError) {
  const std::string nested(1'000'000, '[');
  expect_error([&] { (void)parse_manifest(forged("\"step\": 20", "\"step\": " + nested)); },
               ErrorCode::kCorrupt, {"JSON"});
}

TEST(Manifest, ContradictingReportsAreRefused) {
  const ShardDescription first{
      0, {"worker-00000.h5", 100, {}}, {{"a", ElementType::kF32, Shape{4}, 0, 2, {}}}};
  ShardDescription second{1, {"worker-00001.h5", 100, {}}, {{"a", ElementType::kF32, Shape{2, 2}, 2, 2, {}}}};
  expect_error(
      [&] {
        (void)assemble_manifest({}, std::vector{first, second});
      },
      ErrorCode::kCorrupt, {"'a'", "[4]", "[2, 2]", "worker-00001.h5"});
}

}  // namespace
}  // namespace troupe::storage
