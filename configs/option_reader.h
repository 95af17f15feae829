#pragma once
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/yaml_tree.h"

namespace troupe::configs {

/// A mistake in a configuration.
struct Problem {
  YamlPlace place;
  std::string message;
  bool is_unknown_key = false;
};

/// Sets described options from a tree; keys that are absent keep their value. Mistakes are collected,
/// and the option keeps its value then.
class OptionReader final : public Fields {
 public:
  /// root: a map, or nothing. all_keys: of the whole schema, for suggestions.
  OptionReader(const YamlNode& root, std::vector<std::string> all_keys);

  /// Whether an option kept its value because the given one is of a wrong type or out of range.
  [[nodiscard]] bool has_wrong_values() const { return has_wrong_values_; }
  /// Reports keys that nothing asked for, then gives all problems away. Call once, at the end.
  [[nodiscard]] std::vector<Problem> take_problems();

  void flag(std::string_view name, bool& value, std::string_view help) override;
  void integer(std::string_view name, std::int64_t& value, IntegerRange range,
               std::string_view help) override;
  void real(std::string_view name, double& value, RealRange range, std::string_view help) override;
  void text(std::string_view name, std::string& value, std::string_view help) override;
  void optional_integer(std::string_view name, std::optional<std::int64_t>& value, std::string_view absent,
                        IntegerRange range, std::string_view help) override;
  void optional_text(std::string_view name, std::optional<std::string>& value,
                     std::string_view help) override;
  void schedule(std::string_view name, Schedule& value, RealRange range, std::string_view help) override;
  void reals(std::string_view name, std::vector<double>& value, std::size_t count, RealRange range,
             std::string_view help) override;
  void texts(std::string_view name, std::vector<std::string>& value, std::string_view help) override;
  void real_map(std::string_view name, std::map<std::string, double>& value, RealRange range,
                std::string_view help) override;
  void text_map(std::string_view name, std::map<std::string, std::string>& value,
                std::string_view help) override;
  void choice_index(std::string_view name, std::size_t& value, std::span<const std::string_view> names,
                    std::optional<ChoiceFlags> flags, std::string_view help) override;
  void section(std::string_view name, std::string_view help, const std::function<void()>& describe) override;
  void list(std::string_view name, std::string_view help, std::size_t size,
            const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t)>& describe) override;
  void named_groups(std::string_view name, std::string_view help, const std::vector<std::string>& names,
                    const std::function<void(const std::vector<std::string>&)>& rename,
                    const std::function<void(std::size_t)>& describe) override;
  [[nodiscard]] bool is_null(std::string_view name) const override;

 private:
  /// A group that is being described.
  struct Scope {
    const YamlNode* node;  // a map; nullptr when the file does not mention the group
    std::string path;      // "model.moe"
    std::vector<std::string> known;
  };

  /// The value of an option, or nullptr when absent. Remembers its name.
  const YamlNode* take(std::string_view name);
  [[nodiscard]] std::string path_of(std::string_view name) const;
  void report(const YamlNode& node, std::string message);
  void wrong(const YamlNode& node, std::string_view name, std::string_view expected,
             const std::string& advice = "");

  [[nodiscard]] std::optional<std::int64_t> read_integer(const YamlNode& node, std::string_view name,
                                                         IntegerRange range, std::string_view also);
  [[nodiscard]] std::optional<double> read_real(const YamlNode& node, std::string_view name, RealRange range);
  [[nodiscard]] std::optional<std::string> read_text(const YamlNode& node, std::string_view name,
                                                     std::string_view expected);
  void report_unknown_keys(const Scope& scope);
  [[nodiscard]] std::string hint_for(const std::string& name, const Scope& scope) const;
  void inside(const YamlNode* node, std::string path, const std::function<void()>& describe);

  std::vector<std::string> all_keys_;
  std::vector<Scope> scopes_;
  std::vector<Problem> problems_;
  bool has_wrong_values_ = false;
};

}  // namespace troupe::configs
