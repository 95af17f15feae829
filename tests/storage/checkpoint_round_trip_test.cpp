#include <gtest/gtest.h>
#include <hdf5.h>  // reads the virtual file as anyone else would

#include <filesystem>
#include <vector>

#include "storage/verify.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/sample_state.h"

namespace troupe::storage {
namespace {

/// All of a tensor, read in the ranges that `workers` ranks would ask for.
std::vector<std::byte> read_in_ranges(CheckpointReader& reader, const SampleTensor& tensor,
                                      std::int64_t workers) {
  std::vector<std::byte> bytes(tensor.bytes.size());
  const std::int64_t elements = tensor.shape.elements();
  for (std::int64_t rank = 0; rank < workers; ++rank) {
    const std::int64_t begin = elements * rank / workers;
    const std::int64_t end = elements * (rank + 1) / workers;
    const std::int64_t size = size_bytes(tensor.type);
    reader.read_bytes(reader.tensor(tensor.name), begin,
                      std::span(bytes).subspan(static_cast<std::size_t>(begin * size),
                                               static_cast<std::size_t>((end - begin) * size)));
  }
  return bytes;
}

TEST(Checkpoint, ReadsFromEveryShardingIntoEveryLayout) {
  const test::ScratchFolder folder;
  const auto state = sample_state();
  CheckpointStore store(folder.path());
  for (const std::int64_t writers : {1, 2, 3, 5}) {
    CheckpointReader reader(save(store, state, 10 + writers, writers));
    EXPECT_EQ(reader.manifest().metadata, sample_metadata(10 + writers, writers));
    EXPECT_EQ(reader.tensors().size(), state.size());
    for (const std::int64_t readers : {1, 2, 3, 5}) {
      for (const SampleTensor& tensor : state) {
        EXPECT_EQ(reader.tensor(tensor.name).shape, tensor.shape);
        EXPECT_EQ(read_in_ranges(reader, tensor, readers), tensor.bytes) << tensor.name << writers << readers;
      }
    }
  }
}

TEST(Checkpoint, ReadsTypedRanges) {
  const test::ScratchFolder folder;
  CheckpointStore store(folder.path());
  CheckpointReader reader(save(store, sample_state(), 1, 3));
  std::vector<std::int64_t> counts(3);
  reader.read<std::int64_t>("balancer/previous_counts", 4, counts);
  EXPECT_EQ(counts,
            (std::vector<std::int64_t>{9'000'000'000'000'012, 9'000'000'000'000'015, 9'000'000'000'000'018}));
  std::vector<float> bias(4);
  expect_error([&] { reader.read<float>("balancer/previous_counts", 0, bias); }, ErrorCode::kCorrupt,
               {"balancer/previous_counts", "i64"});
  expect_error([&] { reader.read<float>("layers/09/router/bias", 0, bias); }, ErrorCode::kCorrupt,
               {"layers/09/router/bias"});
  expect_error([&] { reader.read<float>("layers/03/router/bias", 1, bias); }, ErrorCode::kInternal, {"1..5"});
}

TEST(Checkpoint, DigestDependsOnTheStateAndNotOnItsSharding) {
  const test::ScratchFolder folder;
  auto state = sample_state();
  CheckpointStore store(folder.path());
  const std::string one = digest(save(store, state, 1, 1));
  EXPECT_EQ(one.size(), 64U);
  EXPECT_EQ(digest(save(store, state, 2, 2)), one);
  EXPECT_EQ(digest(save(store, state, 5, 5)), one);
  state[2].bytes[40] ^= std::byte{1};
  EXPECT_NE(digest(save(store, state, 6, 3)), one);
}

TEST(Checkpoint, DigestSeesNamesAndShapesAndLeavesLayoutBookkeepingOut) {
  const test::ScratchFolder folder;
  auto state = sample_state();
  CheckpointStore store(folder.path());
  const std::string before = digest(save(store, state, 1, 1));
  state.push_back(state.front());
  state.back().name = "layout/owners";
  EXPECT_EQ(digest(save(store, state, 2, 2)), before);
  EXPECT_NE(digest(store.folder() / "step-00000002", [](const TensorEntry&) { return true; }), before);
  state.back().name = "extra";
  EXPECT_NE(digest(save(store, state, 3, 2)), before);
  state.pop_back();
  state[0].shape = Shape{3, 11};
  EXPECT_NE(digest(save(store, state, 4, 2)), before);
}

TEST(Checkpoint, VirtualFileShowsWholeTensorsToPlainHdf5) {
  const test::ScratchFolder folder;
  const auto state = sample_state();
  CheckpointStore store(folder.path());
  const auto path = save(store, state, 3, 5) / "checkpoint.h5";
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  for (const SampleTensor& tensor : state) {
    const hid_t dataset = H5Dopen2(file, tensor.name.c_str(), H5P_DEFAULT);
    ASSERT_GE(dataset, 0) << tensor.name;
    const hid_t space = H5Dget_space(dataset);
    std::vector<hsize_t> sizes(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space)));
    H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
    EXPECT_EQ(Shape(std::vector<std::int64_t>(sizes.begin(), sizes.end())), tensor.shape);
    const hid_t type = H5Dget_type(dataset);
    std::vector<std::byte> bytes(tensor.bytes.size());
    EXPECT_GE(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), 0);
    EXPECT_EQ(bytes, tensor.bytes) << tensor.name;
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(dataset);
  }
  H5Fclose(file);
}

TEST(Checkpoint, SameStateGivesTheSameFilesByteForByte) {
  const test::ScratchFolder folder;
  CheckpointStore first(folder / "a");
  CheckpointStore second(folder / "b");
  const auto a = load_manifest(save(first, sample_state(), 1, 3));
  const auto b = load_manifest(save(second, sample_state(), 1, 3));
  EXPECT_EQ(a, b);  // hashes of all files included
}

TEST(ShardFile, StoresAdjacentShardsOfATensorAsOneRange) {
  const test::ScratchFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const std::span<const float> all(values);
  const std::vector<TensorShard> shards{
      {"x", Shape{4, 2}, 4, all.subspan(4, 2)},
      {"x", Shape{4, 2}, 0, all.subspan(0, 1)},
      {"x", Shape{4, 2}, 2, all.subspan(2, 2)},
      {"y", Shape{2}, 0, all.subspan(0, 0)},
  };
  const ShardDescription description = write_shard_file(folder.path(), 12, shards);
  EXPECT_EQ(description.file.name, "worker-00012.h5");
  ASSERT_EQ(description.ranges.size(), 2U);
  EXPECT_EQ(description.ranges[1].begin, 2);
  EXPECT_EQ(description.ranges[1].count, 4);
  EXPECT_EQ(description.ranges[1].hash, hash_bytes(std::as_bytes(all.subspan(2, 4))));
}

TEST(ShardFile, RefusesElementsGivenTwiceOrOutside) {
  const test::ScratchFolder folder;
  const std::vector<float> values(4);
  const std::span<const float> all(values);
  const std::vector<TensorShard> twice{{"x", Shape{8}, 0, all}, {"x", Shape{8}, 3, all}};
  expect_error([&] { (void)write_shard_file(folder.path(), 0, twice); }, ErrorCode::kInternal,
               {"'x'", "twice"});
  const std::vector<TensorShard> outside{{"x", Shape{7}, 4, all}};
  expect_error([&] { (void)write_shard_file(folder.path(), 0, outside); }, ErrorCode::kInternal, {"4+4"});
  const std::vector<TensorShard> badly_named{{"../x", Shape{4}, 0, all}};
  expect_error([&] { (void)write_shard_file(folder.path(), 0, badly_named); }, ErrorCode::kInternal,
               {"../x"});
}

TEST(ShardFile, DescriptionTravelsAsJson) {
  const test::ScratchFolder folder;
  const auto state = sample_state();
  const auto shards = cut_into_shards(state, 2);
  const ShardDescription description = write_shard_file(folder.path(), 1, shards[1]);
  EXPECT_EQ(parse_shard_description(to_json(description)), description);
  expect_error([] { (void)parse_shard_description("{\"rank\": 0"); }, ErrorCode::kCorrupt, {"JSON"});
  expect_error([] { (void)parse_shard_description("[]"); }, ErrorCode::kCorrupt, {"object"});
  expect_error([] { (void)parse_shard_description(R"({"rank": -1})"); }, ErrorCode::kCorrupt,
               {"report.rank"});
}

}  // namespace
}  // namespace troupe::storage
