#pragma once
// Private to data/tokenizer/*.cpp: reading a tokenizer.json that is not trusted.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace troupe::data {

/// Members and their types, or kCorrupt with the file and the place in the document ("/model/merges/17").
class JsonPlaces {
 public:
  using json = nlohmann::json;

  JsonPlaces(const json& document, const std::string& name) : document_(document), name_(name) {}

 protected:
  template <class... Args>
  [[noreturn]] void fail(const std::string& place, fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorCode::kCorrupt, "{}: {}: {}", name_, place.empty() ? "/" : place,
                fmt::format(format, std::forward<Args>(args)...));
  }

  const json& member(const json& object, const std::string& place, const char* key) const {
    if (!object.is_object()) fail(place, "an object is needed here, not {}", object.type_name());
    const auto found = object.find(key);
    if (found == object.end()) fail(place, "the key \"{}\" is missing", key);
    return *found;
  }

  const std::string& string_of(const json& value, const std::string& place) const {
    if (!value.is_string()) fail(place, "a string is needed here, not {}", value.type_name());
    return value.get_ref<const std::string&>();
  }

  /// The value must be one of `allowed` when the key is there at all.
  void require(const json& object, const std::string& place, const char* key,
               const std::vector<json>& allowed) const {
    const auto found = object.find(key);
    if (found == object.end() || std::find(allowed.begin(), allowed.end(), *found) != allowed.end()) return;
    fail(place + "/" + key, "{} is not supported, only {}", shortened(*found), json(allowed).dump());
  }

  static std::string shortened(const json& value) {
    const std::string text = value.dump(-1, ' ', true);
    return text.size() <= 60 ? text : text.substr(0, 60) + "…";
  }

  /// A member that may be missing or null.
  const json* optional_member(const json& object, const char* key) const {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }

  bool flag_of(const json& object, const std::string& place, const char* key, bool otherwise) const {
    const json* value = optional_member(object, key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) fail(place + "/" + key, "true or false is needed here");
    return value->get<bool>();
  }

  const json& document_;
  const std::string& name_;
};

}  // namespace troupe::data
