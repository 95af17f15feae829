#include "conversion/folder_reader.h"

#include <algorithm>
#include <vector>

#include "base/index.h"
#include "configs/load.h"
#include "model/layer_spec.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::conversion {
namespace {

using storage::ElementType;
using storage::TensorEntry;

/// Each parameter is a slice of its global tensor.
std::map<std::string, TensorEntry> parameter_entries(const TensorMap& map) {
  std::map<std::string, TensorEntry> entries;
  for (const ParameterSpec& spec : map.parameters()) {
    TensorEntry& entry = entries[spec.name];
    entry.name = spec.name;
    entry.shape = spec.global_shape();
    entry.slices.push_back({.file = {}, .begin = spec.global_begin(), .count = spec.elements(), .hash = {}});
  }
  return entries;
}

TensorEntry whole(const std::string& name, ElementType type, const Shape& shape) {
  TensorEntry entry;
  entry.name = name;
  entry.type = type;
  entry.shape = shape;
  entry.slices.push_back({.file = {}, .begin = 0, .count = shape.elements(), .hash = {}});
  return entry;
}

storage::Manifest manifest_of(const ReadConfig& read, const TensorMap& map, std::string tokenizer_hash) {
  const model::ModelOptions& model = read.run.model;
  const std::int64_t layers = model::moe_layers(model);
  std::map<std::string, TensorEntry> entries = parameter_entries(map);
  const auto add = [&](const std::string& name, ElementType type, const Shape& shape) {
    entries[name] = whole(name, type, shape);
  };
  for (std::int64_t layer = 0; layer < layers; ++layer)
    add(workers::balancer_name(model, at(layer)), ElementType::kF32, Shape{1, model.moe.experts});
  add("training/counters", ElementType::kI64, Shape{4});
  if (layers > 0) {
    for (const char* name : {workers::kPreviousCounts, workers::kPreviousUnbiasedCounts})
      add(name, ElementType::kI64, Shape{layers, model.moe.choices()});
  }
  storage::Manifest manifest;
  manifest.metadata.config = configs::dump(read.run);
  manifest.metadata.tokenizer_hash = std::move(tokenizer_hash);
  for (auto& [name, entry] : entries) {
    std::ranges::sort(entry.slices, {}, &storage::TensorSlice::begin);
    manifest.tensors.push_back(std::move(entry));
  }
  return manifest;
}

/// Numbers [begin, begin + values.size()) of a slice, in its rows: the end of a row, whole rows, the
/// beginning of one.
void read_range(const storage::safetensors::Folder& folder, const Part& part, std::int64_t begin,
                std::span<float> values) {
  const Slice& all = part.slice;
  while (!values.empty()) {
    const std::int64_t row = begin / all.columns;
    const std::int64_t column = begin % all.columns;
    const std::int64_t left = std::ssize(values);
    Slice some = all;
    some.begin += row * all.row_stride + column * all.column_stride;
    some.rows = column > 0 ? 1 : std::max<std::int64_t>(1, left / all.columns);
    some.columns = std::min(all.columns - column, left);
    folder.read(part.theirs, some, values.first(at(some.elements())));
    values = values.subspan(at(some.elements()));
    begin += some.elements();
  }
}

}  // namespace

FolderReader::FolderReader(const ReadConfig& read, storage::safetensors::Folder folder, TensorMap map,
                           std::string tokenizer_hash)
    : TensorReader(folder.path(), manifest_of(read, map, std::move(tokenizer_hash))),
      their_folder_(std::move(folder)),
      map_(std::move(map)) {
  for (const ParameterSpec& spec : map_.parameters()) parameters_[{spec.name, spec.global_begin()}] = &spec;
  for (std::int64_t layer = 0; layer < model::moe_layers(read.run.model); ++layer) {
    const std::string theirs = map_.router_bias(layer);
    if (!theirs.empty()) biases_[workers::balancer_name(read.run.model, at(layer))] = theirs;
  }
}

void FolderReader::read_slice(const TensorEntry& tensor, const storage::TensorSlice& slice,
                              std::int64_t begin, std::span<std::byte> bytes) {
  std::ranges::fill(bytes, std::byte{0});
  if (tensor.type != ElementType::kF32) return;  // nothing was counted
  const std::span<float> values(reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float));
  const auto parameter = parameters_.find({tensor.name, slice.begin});
  if (parameter != parameters_.end()) return read_parameter(*parameter->second, begin, values);
  const auto bias = biases_.find(tensor.name);
  if (bias == biases_.end()) return;
  const Part whole{.theirs = bias->second, .slice = {.columns = tensor.shape.elements()}};
  read_range(their_folder_, whole, begin, values);
}

void FolderReader::read_parameter(const ParameterSpec& spec, std::int64_t begin,
                                  std::span<float> values) const {
  for (const Part& part : map_.parts(spec)) {
    const std::int64_t skipped = std::min(begin, part.slice.elements());
    const std::int64_t count = std::min(part.slice.elements() - skipped, std::ssize(values));
    if (count > 0) read_range(their_folder_, part, skipped, values.first(at(count)));
    begin -= skipped;
    values = values.subspan(at(count));
  }
}

}  // namespace troupe::conversion
