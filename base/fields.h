#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/index.h"

namespace troupe {

template <class T>
struct Range {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
};
using IntegerRange = Range<std::int64_t>;
using RealRange = Range<double>;

inline constexpr IntegerRange kPositive{1, std::numeric_limits<std::int64_t>::max()};
inline constexpr IntegerRange kNonNegative{0, std::numeric_limits<std::int64_t>::max()};
inline constexpr RealRange kFraction{0.0, 1.0};
inline constexpr RealRange kNonNegativeReal{0.0, std::numeric_limits<double>::max()};

/// A value that is constant, or moves linearly over the run: `0.01`, or `{from: 0.01, to: 0.001}`.
struct Schedule {
  double from = 0.0;
  double to = 0.0;

  Schedule() = default;
  Schedule(double constant) : from(constant), to(constant) {}  // NOLINT: a number is a schedule
  Schedule(double first, double last) : from(first), to(last) {}

  /// Value at step 0 ≤ step < steps.
  [[nodiscard]] double at(std::int64_t step, std::int64_t steps) const {
    if (from == to || steps <= 1) return from;
    return from + (to - from) * (static_cast<double>(step) / static_cast<double>(steps - 1));
  }
  bool operator==(const Schedule&) const = default;
};

/// What `true` and `false` stand for among the values of a choice that was a flag, or is read as one.
struct ChoiceFlags {
  std::size_t when_false;
  std::size_t when_true;
};

/// Describes the options of a module: each options struct has one
/// `void describe(Fields&, SomeOptions&)` that names every field, its range and its help.
/// That one description drives loading from YAML, `--set`, unknown-key errors, `troupe config`,
/// the resolved dump and the reference page. The struct's initial value is the default.
class Fields {
 public:
  virtual ~Fields() = default;

  virtual void flag(std::string_view name, bool& value, std::string_view help) = 0;
  virtual void integer(std::string_view name, std::int64_t& value, IntegerRange range,
                       std::string_view help) = 0;
  virtual void real(std::string_view name, double& value, RealRange range, std::string_view help) = 0;
  virtual void text(std::string_view name, std::string& value, std::string_view help) = 0;
  /// An integer that may be absent; `absent` is how that is written: "auto" or "null".
  virtual void optional_integer(std::string_view name, std::optional<std::int64_t>& value,
                                std::string_view absent, IntegerRange range, std::string_view help) = 0;
  virtual void optional_text(std::string_view name, std::optional<std::string>& value,
                             std::string_view help) = 0;
  virtual void schedule(std::string_view name, Schedule& value, RealRange range, std::string_view help) = 0;
  virtual void reals(std::string_view name, std::vector<double>& value, std::size_t count, RealRange range,
                     std::string_view help) = 0;
  virtual void texts(std::string_view name, std::vector<std::string>& value, std::string_view help) = 0;
  /// A map from free names to numbers, e.g. weights by domain.
  virtual void real_map(std::string_view name, std::map<std::string, double>& value, RealRange range,
                        std::string_view help) = 0;
  /// A map from free names to texts.
  virtual void text_map(std::string_view name, std::map<std::string, std::string>& value,
                        std::string_view help) = 0;
  /// One of `names`; value is its index.
  virtual void choice_index(std::string_view name, std::size_t& value,
                            std::span<const std::string_view> names, std::optional<ChoiceFlags> flags,
                            std::string_view help) = 0;
  /// A nested group; `describe` is called with this Fields inside the group.
  virtual void section(std::string_view name, std::string_view help,
                       const std::function<void()>& describe) = 0;
  /// A list of groups: `resize(n)` makes it n long, `describe(i)` describes element i.
  virtual void list(std::string_view name, std::string_view help, std::size_t size,
                    const std::function<void(std::size_t)>& resize,
                    const std::function<void(std::size_t)>& describe) = 0;
  /// Groups by free names: `rename(names)` makes them these, with their defaults; `describe(i)` describes
  /// number i.
  virtual void named_groups(std::string_view name, std::string_view help,
                            const std::vector<std::string>& names,
                            const std::function<void(const std::vector<std::string>&)>& rename,
                            const std::function<void(std::size_t)>& describe) = 0;
  /// Whether what is read says null for a group.
  [[nodiscard]] virtual bool is_null(std::string_view /*name*/) const { return false; }

  /// An enum whose values 0..n-1 are called `names` in order.
  template <class E>
  void choice(std::string_view name, E& value, std::span<const std::string_view> names, std::string_view help,
              std::optional<ChoiceFlags> flags = std::nullopt) {
    auto index = at(value);
    choice_index(name, index, names, flags, help);
    value = static_cast<E>(index);
  }

  /// A nested options struct that has its own describe().
  template <class Options>
  void group(std::string_view name, Options& options, std::string_view help) {
    section(name, help, [&] { describe(*this, options); });
  }
};

}  // namespace troupe
