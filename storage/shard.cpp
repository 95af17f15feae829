#include "storage/shard.h"

#include <algorithm>

#include "base/error.h"
#include "storage/json_fields.h"

namespace troupe::storage {
namespace {

constexpr std::size_t kMaxNameBytes = 255;

bool valid_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-';
}

bool valid_component(std::string_view component) {
  return !component.empty() && component != "." && component != ".." &&
         std::ranges::all_of(component, valid_character);
}

nlohmann::json to_json(const TensorRange& range) {
  return {{"name", range.name},   {"type", to_string(range.type)}, {"shape", range.global_shape.sizes()},
          {"begin", range.begin}, {"count", range.count},          {"hash", range.hash.to_string()}};
}

TensorRange parse_range(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  TensorRange range;
  range.name = fields.text("name");
  range.type = fields.element_type("type");
  range.global_shape = fields.shape("shape");
  range.begin = fields.integer("begin");
  range.count = fields.integer("count", 1);
  range.hash = fields.hash("hash");
  fields.finish();
  return range;
}

}  // namespace

std::string to_json(const ShardDescription& description) {
  nlohmann::json ranges = nlohmann::json::array();
  for (const TensorRange& range : description.ranges) ranges.push_back(to_json(range));
  return nlohmann::json{{"rank", description.rank},
                        {"file", description.file.name},
                        {"size_bytes", description.file.size_bytes},
                        {"hash", description.file.hash.to_string()},
                        {"ranges", std::move(ranges)}}
      .dump();
}

ShardDescription parse_shard_description(const std::string& json) {
  const nlohmann::json document = parse_json(json, "a worker's checkpoint report");
  JsonFields fields(document, "report");
  ShardDescription description;
  description.rank = fields.integer("rank");
  description.file = {fields.text("file"), fields.integer("size_bytes"), fields.hash("hash")};
  const nlohmann::json& ranges = fields.array("ranges");
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    description.ranges.push_back(parse_range(ranges[i], fmt::format("report.ranges[{}]", i)));
  }
  fields.finish();
  return description;
}

std::string shard_file_name(std::int64_t rank) { return fmt::format("worker-{:05}.h5", rank); }

std::string range_dataset(std::string_view tensor, std::int64_t begin) {
  return fmt::format("{}/{}", tensor, begin);
}

bool valid_tensor_name(std::string_view name) {
  if (name.size() > kMaxNameBytes) return false;
  while (true) {
    const std::size_t end = std::min(name.find('/'), name.size());
    if (!valid_component(name.substr(0, end))) return false;
    if (end == name.size()) return true;
    name.remove_prefix(end + 1);
  }
}

}  // namespace troupe::storage
