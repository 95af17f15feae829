#include "tests/storage/sample_state.h"

#include <cstring>

namespace troupe::storage {
namespace {

template <Element T>
SampleTensor make_tensor(std::string name, const Shape& shape, double offset) {
  std::vector<T> values;
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    values.push_back(static_cast<T>(static_cast<double>(i) * 3 + offset));
  }
  const auto bytes = std::as_bytes(std::span(values));
  return {std::move(name), element_type_of<T>(), shape, {bytes.begin(), bytes.end()}};
}

TensorShard shard_of(const SampleTensor& tensor, std::int64_t begin, std::int64_t end) {
  TensorShard shard(tensor.name, tensor.shape, begin, std::span<const float>());
  const auto bytes = static_cast<std::size_t>(size_bytes(tensor.type));
  shard.type = tensor.type;
  shard.data =
      std::span(tensor.bytes)
          .subspan(static_cast<std::size_t>(begin) * bytes, static_cast<std::size_t>(end - begin) * bytes);
  return shard;
}

}  // namespace

std::vector<SampleTensor> sample_state() {
  return {
      make_tensor<float>("embedding", Shape{11, 3}, 0.5),
      make_tensor<float>("layers/00/attention/qkv_proj", Shape{6, 5}, 1000.25),
      make_tensor<float>("layers/03/experts/gate_up_proj", Shape{4, 6, 5}, -2000.5),
      make_tensor<float>("layers/03/router/bias", Shape{4}, 0.125),
      make_tensor<std::int64_t>("balancer/previous_counts", Shape{2, 4}, 9e15),
      make_tensor<double>("losses", Shape{3}, 1e-9),
  };
}

std::vector<std::vector<TensorShard>> cut_into_shards(const std::vector<SampleTensor>& state,
                                                      std::int64_t workers) {
  std::vector<std::vector<TensorShard>> shards(static_cast<std::size_t>(workers));
  for (const SampleTensor& tensor : state) {
    const std::int64_t elements = tensor.shape.elements();
    const std::int64_t tail = elements / 4;  // held by rank 0 besides its own part
    for (std::int64_t rank = 0; rank < workers; ++rank) {
      const std::int64_t begin = (elements - tail) * rank * rank / (workers * workers);
      const std::int64_t end = (elements - tail) * (rank + 1) * (rank + 1) / (workers * workers);
      shards[static_cast<std::size_t>(rank)].push_back(shard_of(tensor, begin, end));
    }
    shards[0].push_back(shard_of(tensor, elements - tail, elements));
  }
  return shards;
}

CheckpointMetadata sample_metadata(std::int64_t step, std::int64_t workers) {
  CheckpointMetadata metadata;
  metadata.step = step;
  metadata.updates = step;
  metadata.tokens_total = step * 4096;
  metadata.data_cursor = step * 16;
  metadata.epoch = 7;
  metadata.workers = workers;
  metadata.config_hash = "0123";
  metadata.tokenizer_hash = "4567";
  metadata.numerics_fingerprint = 0xfedcba9876543210U;
  metadata.corpus = "{\"train\": \"89ab\"}";
  metadata.config = "run: {name: \"Zürich\"}\n";
  return metadata;
}

std::filesystem::path save(CheckpointStore& store, const std::vector<SampleTensor>& state,
                           const CheckpointMetadata& metadata) {
  std::vector<ShardDescription> descriptions;
  const auto shards = cut_into_shards(state, metadata.workers);
  for (std::size_t rank = 0; rank < shards.size(); ++rank) {
    descriptions.push_back(write_shard_file(store.temporary_folder(metadata.step, metadata.epoch),
                                            static_cast<std::int64_t>(rank), shards[rank]));
  }
  return store.commit(metadata, descriptions);
}

std::filesystem::path save(CheckpointStore& store, const std::vector<SampleTensor>& state, std::int64_t step,
                           std::int64_t workers) {
  return save(store, state, sample_metadata(step, workers));
}

}  // namespace troupe::storage
