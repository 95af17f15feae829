#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>  // builds hostile files that the wrappers cannot make
#include <unistd.h>

#include <array>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "storage/hdf5/file.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"

namespace troupe::storage {
namespace {

using hdf5::Dataset;
using hdf5::File;
using ::testing::ElementsAre;

class Hdf5Test : public ::testing::Test {
 protected:
  /// A file made by HDF5's own API.
  template <class Fill>
  std::filesystem::path raw_file(Fill fill) {
    const auto path = folder_ / "raw.h5";
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    fill(file);
    EXPECT_GE(H5Fclose(file), 0);
    return path;
  }
  /// A 1-D dataset "x" of four floats with this creation list.
  static void raw_dataset(hid_t file, hid_t creation, hid_t type = H5T_IEEE_F32LE) {
    const hsize_t size = 4;
    const hid_t space = H5Screate_simple(1, &size, nullptr);
    const hid_t dataset = H5Dcreate2(file, "x", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    EXPECT_GE(dataset, 0);
    H5Dclose(dataset);
    H5Sclose(space);
  }
  test::ScratchFolder folder_;
};

template <class T>
void round_trip(const std::filesystem::path& path, std::vector<T> values) {
  {
    File file = File::create(path);
    file.write_dataset<T>("a/b/values", values);
    file.close();
  }
  const File file = File::open(path);
  const Dataset dataset = file.open_dataset("a/b/values");
  EXPECT_EQ(dataset.type(), element_type_of<T>());
  std::vector<T> read(values.size());
  dataset.read<T>(0, read);
  EXPECT_EQ(read, values);
}

TEST_F(Hdf5Test, EveryElementTypeComesBack) {
  round_trip<float>(folder_ / "f32", {1.5F, -0.0F, 3e38F});
  round_trip<double>(folder_ / "f64", {1.5, -2e300});
  round_trip<std::int32_t>(folder_ / "i32", {-1, 2147483647});
  round_trip<std::int64_t>(folder_ / "i64", {-1, 9007199254740993});
  round_trip<std::uint16_t>(folder_ / "u16", {0, 65535});
}

TEST_F(Hdf5Test, PiecesOfAnNDimensionalDatasetMeetInRowMajorOrder) {
  const std::array<std::int64_t, 3> sizes{3, 4, 5};
  std::vector<std::int32_t> values(60);
  std::iota(values.begin(), values.end(), 0);
  {
    File file = File::create(folder_ / "a.h5");
    Dataset dataset = file.create_dataset("x", ElementType::kI32, sizes);
    const std::span<const std::int32_t> all(values);
    dataset.write(7, all.subspan(7, 30));
    dataset.write(0, all.subspan(0, 7));
    dataset.write(37, all.subspan(37));
  }
  const File file = File::open(folder_ / "a.h5");
  const Dataset dataset = file.open_dataset("x");
  EXPECT_THAT(dataset.sizes(), ElementsAre(3, 4, 5));
  std::vector<std::int32_t> middle(41);
  dataset.read<std::int32_t>(11, middle);
  EXPECT_EQ(middle, std::vector<std::int32_t>(values.begin() + 11, values.begin() + 52));
}

TEST_F(Hdf5Test, DatasetOffsetIsWherePreadFindsTheElements) {
  const std::vector<std::uint16_t> tokens{5, 6, 7, 8};
  {
    File file = File::create(folder_ / "a.h5");
    file.write_dataset<std::uint16_t>("tokens", tokens);
    file.close();
  }
  const std::int64_t offset = File::open(folder_ / "a.h5").open_dataset("tokens").dataset_offset();
  const FileDescriptor descriptor = FileDescriptor::open(folder_ / "a.h5", O_RDONLY);
  std::array<std::uint16_t, 2> read{};
  ASSERT_EQ(::pread(descriptor.get(), read.data(), 4, offset + 2 * 2), 4);
  EXPECT_THAT(read, ElementsAre(7, 8));
}

TEST_F(Hdf5Test, AttributesComeBackFromFileGroupAndDataset) {
  {
    File file = File::create(folder_ / "a.h5");
    file.write_dataset<float>("g/x", std::vector<float>{1});
    file.set_attribute("/", "format", std::int64_t{3});
    file.set_attribute("g", "name", "Zürich");
    file.set_attribute("g/x", "empty", "");
    file.close();
  }
  const File file = File::open(folder_ / "a.h5");
  EXPECT_EQ(file.integer_attribute("/", "format"), 3);
  EXPECT_EQ(file.string_attribute("g", "name"), "Zürich");
  EXPECT_EQ(file.string_attribute("g/x", "empty"), "");
  expect_error([&] { (void)file.integer_attribute("/", "none"); }, ErrorCode::kCorrupt, {"a.h5", "none"});
  expect_error([&] { (void)file.integer_attribute("g", "name"); }, ErrorCode::kCorrupt, {"g@name"});
}

TEST_F(Hdf5Test, EmptyDatasetIsAllowed) { round_trip<std::int64_t>(folder_ / "a.h5", {}); }

TEST_F(Hdf5Test, SameContentGivesTheSameBytes) {
  for (const char* name : {"a.h5", "b.h5"}) {
    File file = File::create(folder_ / name);
    file.write_dataset<float>("g/x", std::vector<float>{1, 2});
    file.set_attribute("/", "n", std::int64_t{3});
    file.close();
  }
  EXPECT_EQ(read_file(folder_ / "a.h5", 1 << 20), read_file(folder_ / "b.h5", 1 << 20));
}

TEST_F(Hdf5Test, CreateRefusesAnExistingFileAndOpenAMissingOne) {
  write_file_atomically(folder_ / "a.h5", "x");
  expect_error([&] { (void)File::create(folder_ / "a.h5"); }, ErrorCode::kIo, {"a.h5", "create"});
  expect_error([&] { (void)File::open(folder_ / "b.h5"); }, ErrorCode::kIo, {"b.h5", "No such file"});
}

TEST_F(Hdf5Test, MissingDatasetGroupOrWrongTypeIsNamed) {
  File file = File::create(folder_ / "a.h5");
  file.write_dataset<float>("g/x", std::vector<float>{1});
  EXPECT_TRUE(file.contains("g/x"));
  EXPECT_FALSE(file.contains("h/x"));
  expect_error([&] { (void)file.open_dataset("g/y"); }, ErrorCode::kCorrupt, {"a.h5", "g/y"});
  expect_error([&] { (void)file.open_dataset("g"); }, ErrorCode::kCorrupt, {"'g'"});
  expect_error([&] { (void)file.open_dataset("g/../g/x"); }, ErrorCode::kCorrupt, {"plain components"});
  std::vector<double> values(1);
  expect_error([&] { file.open_dataset("g/x").read<double>(0, values); }, ErrorCode::kCorrupt,
               {"holds f32, not f64"});
}

TEST_F(Hdf5Test, RangesOutsideADatasetAreRefused) {
  File file = File::create(folder_ / "a.h5");
  file.write_dataset<float>("x", std::vector<float>{1, 2});
  std::vector<float> values(2);
  expect_error([&] { file.open_dataset("x").read<float>(1, values); }, ErrorCode::kInternal, {"1+2"});
}

TEST_F(Hdf5Test, TruncatedAndForeignFilesAreCorrupt) {
  {
    File file = File::create(folder_ / "a.h5");
    file.write_dataset<float>("x", std::vector<float>(10'000));
    file.close();
  }
  std::filesystem::resize_file(folder_ / "a.h5", 20'000);
  expect_error([&] { (void)File::open(folder_ / "a.h5"); }, ErrorCode::kCorrupt, {"a.h5", "truncated"});
  write_file_atomically(folder_ / "b.h5", std::string(5000, 'x'));
  expect_error([&] { (void)File::open(folder_ / "b.h5"); }, ErrorCode::kCorrupt, {"b.h5"});
}

TEST_F(Hdf5Test, LinksToElsewhereAreRefused) {
  const auto path = raw_file([](hid_t file) {
    raw_dataset(file, H5P_DEFAULT);
    H5Lcreate_external("/etc/other.h5", "/x", file, "external", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/x", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
  });
  const File file = File::open(path);
  expect_error([&] { (void)file.open_dataset("external"); }, ErrorCode::kCorrupt,
               {"raw.h5", "'external'", "link"});
  expect_error([&] { (void)file.open_dataset("external/x"); }, ErrorCode::kCorrupt, {"link"});
  expect_error([&] { (void)file.open_dataset("soft"); }, ErrorCode::kCorrupt, {"link"});
  expect_error([&] { (void)file.integer_attribute("external", "a"); }, ErrorCode::kCorrupt, {"link"});
}

TEST_F(Hdf5Test, ExternalStorageIsRefused) {
  const auto path = raw_file([](hid_t file) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, "/etc/passwd", 0, 16);
    raw_dataset(file, creation);
    H5Pclose(creation);
  });
  const File file = File::open(path);
  expect_error([&] { (void)file.open_dataset("x"); }, ErrorCode::kCorrupt, {"raw.h5", "'x'", "another file"});
}

TEST_F(Hdf5Test, FiltersAndChunksAreRefused) {
  const auto path = raw_file([](hid_t file) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk = 2;
    H5Pset_chunk(creation, 1, &chunk);
    H5Pset_fletcher32(creation);
    raw_dataset(file, creation);
    H5Pclose(creation);
  });
  const File file = File::open(path);
  expect_error([&] { (void)file.open_dataset("x"); }, ErrorCode::kCorrupt, {"contiguous"});
}

TEST_F(Hdf5Test, UnknownElementTypesAndMissingDataAreRefused) {
  const auto big_endian = raw_file([](hid_t file) { raw_dataset(file, H5P_DEFAULT, H5T_IEEE_F32BE); });
  expect_error([&] { (void)File::open(big_endian).open_dataset("x"); }, ErrorCode::kCorrupt,
               {"element type"});
  const auto unwritten = raw_file([](hid_t file) { raw_dataset(file, H5P_DEFAULT); });
  expect_error([&] { (void)File::open(unwritten).open_dataset("x"); }, ErrorCode::kCorrupt, {"no data"});
}

TEST_F(Hdf5Test, CloseRefusesWhileADatasetIsOpen) {
  File file = File::create(folder_ / "a.h5");
  {
    const std::int64_t size = 1;
    const Dataset dataset = file.create_dataset("x", ElementType::kF32, {&size, 1});
    EXPECT_THROW(file.close(), Error);
  }
}

}  // namespace
}  // namespace troupe::storage
