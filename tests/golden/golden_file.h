#pragma once
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace troupe::golden {

/// One case written by generate.py, which describes the format.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name);  // "tied"

  [[nodiscard]] const nlohmann::json& index() const { return index_; }
  /// Throws when the file has no such tensor, or it lies outside.
  [[nodiscard]] std::span<const float> tensor(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names_below(const std::string& prefix) const;

 private:
  nlohmann::json index_;
  std::vector<float> values_;
};

}  // namespace troupe::golden
