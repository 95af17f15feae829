#include "storage/safetensors/writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "storage/safetensors/folder.h"
#include "storage/verified_file.h"

namespace troupe::storage::safetensors {

FolderWriter::FolderWriter(std::filesystem::path folder, const std::vector<Tensor>& tensors, ValueType type,
                           std::int64_t shard_bytes)
    : folder_(std::move(folder)), type_(type) {
  std::int64_t in_shard = 0;
  std::int64_t all = 0;
  for (const Tensor& tensor : tensors) {
    TensorInfo info{
        .name = tensor.name, .type = type, .type_name = std::string(to_string(type)), .shape = tensor.shape};
    const std::int64_t bytes = info.elements() * size_bytes(type);
    if (shards_.empty() || in_shard + bytes > shard_bytes) {
      shards_.emplace_back();
      in_shard = 0;
    }
    in_shard += bytes;
    all += bytes;
    shards_.back().values += info.elements();
    shards_.back().tensors.push_back(std::move(info));
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].file = shards_.size() == 1
                          ? kSingleFile
                          : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_.size());
  }
  make_folders(folder_);
  require_free_space(folder_, all);
  if (!shards_.empty()) start_shard();
}

void FolderWriter::start_shard() {
  Shard& shard = shards_[shard_];
  const std::string header = make_header(shard.tensors);
  left_ = shard.values;
  file_.emplace(folder_ / shard.file);
  file_->write(std::as_bytes(std::span(header)));
}

void FolderWriter::end_shard() {
  file_->finish();
  file_.reset();
}

void FolderWriter::write(std::span<const float> values) {
  while (!values.empty()) {
    if (left_ == 0) {
      TROUPE_CHECK(shard_ + 1 < shards_.size(), "{}: more values than its tensors have", folder_.string());
      end_shard();
      ++shard_;
      start_shard();
      continue;
    }
    const std::size_t count = std::min(values.size(), at(left_));
    bytes_.resize(count * at(size_bytes(type_)));
    from_floats(type_, values.first(count), bytes_);
    file_->write(bytes_);
    values = values.subspan(count);
    left_ -= static_cast<std::int64_t>(count);
  }
}

void FolderWriter::finish() {
  TROUPE_CHECK(!shards_.empty() && left_ == 0 && shard_ + 1 == shards_.size(), "{}: values are missing",
               folder_.string());
  end_shard();
  if (shards_.size() > 1) write_index();
  sync_folder(folder_);
}

void FolderWriter::write_index() const {
  std::int64_t bytes = 0;
  nlohmann::json files = nlohmann::json::object();
  for (const Shard& shard : shards_) {
    bytes += shard.values * size_bytes(type_);
    for (const TensorInfo& tensor : shard.tensors) files[tensor.name] = shard.file;
  }
  const nlohmann::json index{{"metadata", {{"total_size", bytes}}}, {"weight_map", files}};
  write_file_atomically(folder_ / kIndexFile, index.dump(2) + "\n");
}

}  // namespace troupe::storage::safetensors
