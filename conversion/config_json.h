#pragma once
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/options.h"

namespace troupe::conversion {

using nlohmann::json;
using nlohmann::ordered_json;

/// Options of a model by their keys below `model`, each as its YAML text: "attention.heads": "8".
using OptionTexts = std::map<std::string, std::string>;

[[nodiscard]] OptionTexts texts_of(const model::ModelOptions& options);
[[nodiscard]] OptionTexts texts_of(const model::AttentionOptions& options);

/// A value of config.json as an option's text; none for what is no number, flag or word.
[[nodiscard]] std::optional<std::string> text_of(const json& value);
/// Of a number, so that it reads back as the same.
[[nodiscard]] std::string text(std::int64_t value);
[[nodiscard]] std::string text(double value);
/// The other way round: numbers and flags as such, else a word.
[[nodiscard]] json json_of(const std::string& text);

/// A config.json that is read: remembers which of its keys someone asked for. A null is as good as absent.
class ConfigReader {
 public:
  /// file: for messages. kConfig unless it is an object.
  ConfigReader(json config, std::string file);

  [[nodiscard]] const std::string& file() const { return file_; }
  /// Null when absent.
  [[nodiscard]] json take(const std::string& key);
  /// The first of several names that is there, all of which must agree.
  [[nodiscard]] json take_any(const std::vector<std::string>& keys);
  /// kConfig, naming the keys, when none is there.
  [[nodiscard]] json require_any(const std::vector<std::string>& keys);
  [[nodiscard]] std::int64_t require_integer(const std::string& key);
  /// Its value, or `absent`.
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t absent);
  [[nodiscard]] double number(const std::string& key, double absent);
  [[nodiscard]] bool flag(const std::string& key, bool absent);

  /// Says that this value of a key cannot be said here.
  template <class... Args>
  [[noreturn]] void refuse(const std::string& key, fmt::format_string<Args...> format, Args&&... args) const {
    refuse_text(key, fmt::format(format, std::forward<Args>(args)...));
  }
  /// kConfig, naming all, when there are keys that nobody asked for.
  void require_all_taken() const;

 private:
  [[noreturn]] void refuse_text(const std::string& key, const std::string& reason) const;

  json config_;
  std::string file_;
  std::set<std::string> taken_;
};

}  // namespace troupe::conversion
