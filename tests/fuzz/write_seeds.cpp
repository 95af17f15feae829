/// Writes the seeds of corpus/ that only this program can write: fuzz_write_seeds CORPUS. After a format has
/// changed.
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "comm/control/link/channel.h"
#include "comm/control/messages/codec.h"
#include "storage/hdf5/file.h"
#include "storage/manifest.h"
#include "storage/manifest_json.h"
#include "tests/comm/control/messages/example_messages.h"

namespace troupe::fuzz {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, bytes);
}

template <class Message>
void write_frames(const fs::path& path, const std::vector<Message>& messages) {
  comm::Channel channel(1);
  for (const Message& message : messages) static_cast<void>(channel.send(comm::encode(message)));
  channel.acknowledge();
  write(path, channel.take_output());
}

void write_hdf5(const fs::path& path) {
  storage::hdf5::File file = storage::hdf5::File::create_in_memory("seed");
  const std::vector<float> values(16, 1.0F);
  file.write_dataset("tokens", std::span<const float>(values));
  file.write_dataset("layers/00/weight/0", std::span<const float>(values));
  file.set_attribute("/", "format_version", 3);
  file.set_attribute("/", "tokenizer_hash", "0123");
  const std::vector<std::byte> image = file.image();
  write(path, {reinterpret_cast<const char*>(image.data()), image.size()});
}

void write_manifest(const fs::path& path) {
  storage::Manifest manifest;
  manifest.metadata.step = 3;
  manifest.metadata.workers = 1;
  manifest.metadata.expert_parallel = 1;
  const storage::Hash128 hash = storage::hash_bytes({});
  manifest.tensors = {
      {"a/weight", storage::ElementType::kF32, Shape{2, 3}, {{"worker-00000.h5", 0, 6, hash}}}};
  manifest.files = {{"checkpoint.h5", 10, hash}, {"worker-00000.h5", 4096, hash}};
  write(path, storage::serialize_manifest(manifest));
}

/// llm.c's header, then ids.
std::string token_bin() {
  std::vector<std::int32_t> header(256);
  header[0] = 20240520;
  header[1] = 1;
  header[2] = 8;
  std::string bytes(header.size() * sizeof(std::int32_t), '\0');
  std::memcpy(bytes.data(), header.data(), bytes.size());
  for (const std::uint16_t token : {1, 2, 3, 4, 5, 3, 6, 7})
    bytes.append(reinterpret_cast<const char*>(&token), 2);
  return bytes;
}

template <class Number>
void append(std::string& bytes, Number number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

/// Megatron's, version 1: two documents of u16.
std::string token_index() {
  std::string bytes("MMIDIDX\0\0", 9);
  append<std::uint64_t>(bytes, 1);
  append<std::uint8_t>(bytes, 8);
  append<std::uint64_t>(bytes, 2);
  append<std::uint64_t>(bytes, 3);
  for (const std::int32_t length : {10, 20}) append(bytes, length);
  for (const std::int64_t pointer : {0, 20}) append(bytes, pointer);
  for (const std::int64_t document : {0, 1, 2}) append(bytes, document);
  return bytes;
}

void write_all_seeds(const fs::path& corpus) {
  write_frames(corpus / "control/worker", comm::example_worker_messages());
  write_frames(corpus / "control/coordinator", comm::example_coordinator_messages());
  write_hdf5(corpus / "hdf5/small.h5");
  write_manifest(corpus / "manifest/small.json");
  write(corpus / "token_bin/llm_c.bin", token_bin());
  write(corpus / "token_bin/nano_gpt.bin", token_bin().substr(1024));
  write(corpus / "token_index/two_documents.idx", token_index());
}

}  // namespace
}  // namespace troupe::fuzz

int main(int count, char** arguments) {
  if (count != 2) return 2;
  troupe::fuzz::write_all_seeds(arguments[1]);
  return 0;
}
