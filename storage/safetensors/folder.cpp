#include "storage/safetensors/folder.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "storage/json_fields.h"

namespace troupe::storage::safetensors {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaximumIndexBytes = std::size_t{64} << 20;

/// Which file has which tensor. kCorrupt unless the index is {"weight_map": {"NAME": "FILE"}}, of plain
/// names.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const nlohmann::json index = parse_json(read_file(path, kMaximumIndexBytes), path.string());
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object())
    throw Error(ErrorCode::kCorrupt, "{}: it has no weight_map", path.string());
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : map->items()) {
    const std::string value = file.is_string() ? file.get<std::string>() : "";
    if (value.empty() || value.starts_with('.') || value.find('/') != std::string::npos ||
        value.find('\0') != std::string::npos)
      throw Error(ErrorCode::kCorrupt, "{}: the file of '{}' is {}, no plain name", path.string(), name,
                  file.dump());
    files.emplace(name, value);
  }
  return files;
}

}  // namespace

Folder::Folder(const fs::path& folder) : path_(folder) {
  if (fs::exists(folder / kIndexFile)) {
    add_indexed();
  } else if (fs::exists(folder / kSingleFile)) {
    add(File::open(folder / kSingleFile));
  } else {
    throw Error(ErrorCode::kConfig, "{}: neither {} nor {} is in it", folder.string(), kSingleFile,
                kIndexFile);
  }
}

void Folder::add_indexed() {
  const auto index = read_index(path_ / kIndexFile);
  std::set<std::string> files;
  for (const auto& [name, file] : index) files.insert(file);
  for (const std::string& file : files) add(File::open(path_ / file));
  for (const auto& [name, file] : index) {
    const auto found = places_.find(name);
    if (found != places_.end() && files_[found->second.file].path() == path_ / file) continue;
    throw Error(ErrorCode::kCorrupt, "{}: '{}' is not in {}", (path_ / kIndexFile).string(), name, file);
  }
}

void Folder::add(File file) {
  files_.push_back(std::move(file));
  for (const TensorInfo& tensor : files_.back().tensors()) {
    const auto [place, added] = places_.try_emplace(tensor.name, Place{files_.size() - 1, &tensor});
    if (added) continue;
    throw Error(ErrorCode::kCorrupt, "{}: '{}' is in {} too", files_.back().path().string(), tensor.name,
                files_[place->second.file].path().string());
  }
}

std::vector<std::string> Folder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

const TensorInfo* Folder::find(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : found->second.tensor;
}

void Folder::read(std::string_view name, const Slice& slice, std::span<float> values) const {
  const auto found = places_.find(name);
  TROUPE_CHECK(found != places_.end(), "{}: '{}' is not in it", path_.string(), name);
  files_[found->second.file].read(*found->second.tensor, slice, values);
}

}  // namespace troupe::storage::safetensors
