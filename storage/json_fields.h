#pragma once
// Private to storage/*.cpp: reading JSON from outside, strictly.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "storage/element_type.h"
#include "storage/hash.h"
#include "tensor/shape.h"

namespace troupe::storage {

/// The document, or kCorrupt with the position of the mistake.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, std::string_view what);

/// A JSON object whose members are asked for one by one. Everything that is missing, of another type or
/// out of range throws kCorrupt naming the member; finish() refuses members that nobody asked for.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where);

  [[nodiscard]] std::int64_t integer(const std::string& name, std::int64_t low = 0,
                                     std::int64_t high = std::int64_t{1} << 62);
  [[nodiscard]] std::string text(const std::string& name);
  /// 0 when it is missing.
  [[nodiscard]] std::int64_t optional_integer(const std::string& name);
  /// Empty when it is missing.
  [[nodiscard]] std::string optional_text(const std::string& name);
  [[nodiscard]] Hash128 hash(const std::string& name);
  [[nodiscard]] ElementType element_type(const std::string& name);
  /// 1 to 4 sizes, each at least 1, whose product in bytes fits 63 bits.
  [[nodiscard]] Shape shape(const std::string& name);
  [[nodiscard]] const nlohmann::json& array(const std::string& name);
  [[nodiscard]] JsonFields object(const std::string& name);
  void finish() const;

 private:
  [[nodiscard]] const nlohmann::json& member(const std::string& name);
  [[noreturn]] void refuse(const std::string& name, std::string_view reason) const;

  const nlohmann::json& object_;
  std::string where_;
  std::set<std::string> seen_;
};

}  // namespace troupe::storage
