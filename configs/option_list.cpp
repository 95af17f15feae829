#include "configs/option_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <span>
#include <utility>

#include "configs/option_text.h"
#include "configs/run_config.h"

namespace troupe::configs {
namespace {

class OptionLister final : public Fields {
 public:
  std::vector<OptionInfo> options;

  void flag(std::string_view name, bool& value, std::string_view help) override {
    add(name, value ? "true" : "false", "true or false", help);
  }
  void integer(std::string_view name, std::int64_t& value, IntegerRange range,
               std::string_view help) override {
    add(name, fmt::format("{}", value), integer_kind(range), help);
  }
  void real(std::string_view name, double& value, RealRange range, std::string_view help) override {
    add(name, real_text(value), real_kind(range), help);
  }
  void text(std::string_view name, std::string& value, std::string_view help) override {
    add(name, text_text(value), "text", help);
  }
  void optional_integer(std::string_view name, std::optional<std::int64_t>& value, std::string_view absent,
                        IntegerRange range, std::string_view help) override {
    add(name, value ? fmt::format("{}", *value) : std::string(absent),
        fmt::format("{} or {}", integer_kind(range), absent), help);
  }
  void optional_text(std::string_view name, std::optional<std::string>& value,
                     std::string_view help) override {
    add(name, value ? text_text(*value) : "null", "text or null", help);
  }
  void schedule(std::string_view name, Schedule& value, RealRange range, std::string_view help) override {
    add(name, schedule_text(value), fmt::format("{}, or {{from: …, to: …}} over the run", real_kind(range)),
        help);
  }
  void reals(std::string_view name, std::vector<double>& value, std::size_t count, RealRange range,
             std::string_view help) override {
    std::vector<std::string> texts;
    for (const double number : value) texts.push_back(real_text(number));
    add(name, fmt::format("[{}]", fmt::join(texts, ", ")),
        fmt::format("{} numbers, each {}", count, real_kind(range)), help);
  }
  void texts(std::string_view name, std::vector<std::string>& value, std::string_view help) override {
    std::vector<std::string> quoted;
    for (const std::string& text : value) quoted.push_back(text_text(text));
    add(name, fmt::format("[{}]", fmt::join(quoted, ", ")), "a list of texts", help);
  }
  void real_map(std::string_view name, std::map<std::string, double>& value, RealRange range,
                std::string_view help) override {
    std::vector<std::string> pairs;
    for (const auto& [key, number] : value)
      pairs.push_back(fmt::format("{}: {}", text_text(key), real_text(number)));
    add(name, fmt::format("{{{}}}", fmt::join(pairs, ", ")),
        fmt::format("names, each with {}", real_kind(range)), help);
  }
  void text_map(std::string_view name, std::map<std::string, std::string>& value,
                std::string_view help) override {
    std::vector<std::string> pairs;
    pairs.reserve(value.size());
    for (const auto& [key, text] : value)
      pairs.push_back(fmt::format("{}: {}", text_text(key), text_text(text)));
    add(name, fmt::format("{{{}}}", fmt::join(pairs, ", ")), "names, each with a text", help);
  }
  void choice_index(std::string_view name, std::size_t& value, std::span<const std::string_view> names,
                    std::optional<ChoiceFlags> flags, std::string_view help) override {
    std::string type = choice_kind(names);
    if (flags)
      type += fmt::format("; true is {}, false {}", names[flags->when_true], names[flags->when_false]);
    add(name, std::string(names[value]), std::move(type), help);
  }
  void section(std::string_view name, std::string_view help, const std::function<void()>& describe) override {
    options.push_back({OptionInfo::Kind::kGroup, prefix_ + std::string(name), std::string(name), "", "",
                       std::string(help)});
    inside(name, kind_, describe);
  }
  void list(std::string_view name, std::string_view help, std::size_t size,
            const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t)>& describe) override {
    std::vector<std::string> elements;
    for (std::size_t i = 0; i < size; ++i) elements.push_back(flow_text([&] { describe(i); }));
    add(name, fmt::format("[{}]", fmt::join(elements, ", ")), "a list of groups", help);
    resize(size + 1);  // a default one, for its description only
    inside(std::string(name) + "[]", OptionInfo::Kind::kElement, [&] { describe(size); });
    resize(size);
  }
  void named_groups(std::string_view name, std::string_view help, const std::vector<std::string>& names,
                    const std::function<void(const std::vector<std::string>&)>&,
                    const std::function<void(std::size_t)>& describe) override {
    std::vector<std::string> groups;
    for (std::size_t i = 0; i < names.size(); ++i)
      groups.push_back(fmt::format("{}: {}", text_text(names[i]), flow_text([&] { describe(i); })));
    add(name, fmt::format("{{{}}}", fmt::join(groups, ", ")), "groups by names", help);
  }

 private:
  void add(std::string_view name, std::string value, std::string type, std::string_view help) {
    options.push_back({kind_, prefix_ + std::string(name), std::string(name), std::move(value),
                       std::move(type), std::string(help)});
  }

  void inside(std::string_view name, OptionInfo::Kind kind, const std::function<void()>& describe) {
    const std::string outer_prefix = prefix_;
    const OptionInfo::Kind outer_kind = kind_;
    prefix_ += std::string(name) + ".";
    kind_ = kind;
    describe();
    prefix_ = outer_prefix;
    kind_ = outer_kind;
  }

  /// What `describe` adds, as one flow mapping, groups inside it as others.
  std::string flow_text(const std::function<void()>& describe) {
    const std::size_t first = options.size();
    const std::string outer_prefix = std::exchange(prefix_, "");
    describe();
    prefix_ = outer_prefix;
    const std::vector<OptionInfo> added(options.begin() + static_cast<std::ptrdiff_t>(first), options.end());
    options.resize(first);
    return flow_mapping(added, "");
  }

  /// The options below `prefix`, in their order.
  static std::string flow_mapping(std::span<const OptionInfo> all, const std::string& prefix) {
    std::vector<std::string> pairs;
    for (const OptionInfo& option : all) {
      if (option.key != prefix + option.name) continue;
      pairs.push_back(fmt::format(
          "{}: {}", option.name,
          option.kind == OptionInfo::Kind::kGroup ? flow_mapping(all, option.key + ".") : option.value));
    }
    return fmt::format("{{{}}}", fmt::join(pairs, ", "));
  }

  std::string prefix_;
  OptionInfo::Kind kind_ = OptionInfo::Kind::kOption;
};

}  // namespace

std::vector<OptionInfo> list_options(const std::function<void(Fields&)>& describe) {
  OptionLister lister;
  describe(lister);
  return std::move(lister.options);
}

std::vector<std::string> all_keys() {
  RunConfig config;
  std::vector<std::string> keys;
  for (OptionInfo& option : list_options([&](Fields& fields) { describe(fields, config); }))
    keys.push_back(std::move(option.key));
  return keys;
}

}  // namespace troupe::configs
