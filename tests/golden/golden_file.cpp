#include "tests/golden/golden_file.h"

#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace troupe::golden {
namespace {

std::ifstream opened(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path);
  return file;
}

}  // namespace

GoldenFile::GoldenFile(const std::string& name) {
  const std::string path = std::string(TROUPE_SOURCE_DIR) + "/tests/golden/" + name;
  opened(path + ".json") >> index_;
  std::ifstream file = opened(path + ".bin");
  file.seekg(0, std::ios::end);
  values_.resize(static_cast<std::size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values_.data()),
            static_cast<std::streamsize>(values_.size() * sizeof(float)));
  if (!file) throw std::runtime_error("cannot read " + path + ".bin");
}

std::span<const float> GoldenFile::tensor(const std::string& name) const {
  const auto& entry = index_.at("tensors").at(name);
  const auto shape = entry.at("shape").get<std::vector<std::size_t>>();
  const std::size_t count = std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
  const auto offset = entry.at("offset").get<std::size_t>();
  if (offset + count > values_.size()) throw std::runtime_error(name + " lies outside its file");
  return std::span(values_).subspan(offset, count);
}

std::vector<std::string> GoldenFile::names_below(const std::string& prefix) const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : index_.at("tensors").items()) {
    if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
  }
  return names;
}

}  // namespace troupe::golden
