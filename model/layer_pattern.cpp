#include "model/options.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/index.h"

namespace troupe::model {
namespace {

constexpr std::size_t kMostLayers = 10'000;

/// Of "local*5"; 1 of "local".
std::size_t count_of(const std::string& item, std::size_t star) {
  if (star == std::string::npos) return 1;
  std::size_t count = 0;
  const char* end = item.data() + item.size();
  const auto [stop, error] = std::from_chars(item.data() + star + 1, end, count);
  if (error != std::errc() || stop != end || count == 0 || count > kMostLayers) {
    throw Error(ErrorCode::kConfig, "model.layer_pattern: '{}' is neither a mixer's name nor NAME*COUNT",
                item);
  }
  return count;
}

std::string name_in(const ModelOptions& options, const std::vector<std::string>& pattern,
                    std::int64_t layer) {
  if (const auto exception = options.layer_exceptions.find(std::to_string(layer));
      exception != options.layer_exceptions.end())
    return exception->second;
  return pattern.empty() ? std::string() : pattern[at(layer) % pattern.size()];
}

AttentionOptions named(const ModelOptions& options, const std::string& name) {
  if (name.empty()) return options.attention;
  const auto found = std::ranges::find(options.mixers, name, &NamedMixer::name);
  if (found == options.mixers.end())
    throw Error(ErrorCode::kConfig, "model.mixers has no mixer '{}', which a layer shall have", name);
  return found->options;
}

}  // namespace

std::vector<std::string> expanded_pattern(const ModelOptions& options) {
  std::vector<std::string> pattern;
  for (const std::string& item : options.layer_pattern) {
    const std::size_t star = item.find('*');
    pattern.insert(pattern.end(), count_of(item, star), item.substr(0, star));
    if (pattern.size() > kMostLayers)
      throw Error(ErrorCode::kConfig, "model.layer_pattern is longer than {} layers", kMostLayers);
  }
  return pattern;
}

std::vector<AttentionOptions> layer_mixers(const ModelOptions& options) {
  const std::vector<std::string> pattern = expanded_pattern(options);
  std::vector<AttentionOptions> mixers;
  for (std::int64_t layer = 0; layer < options.layers; ++layer)
    mixers.push_back(named(options, name_in(options, pattern, layer)));
  return mixers;
}

}  // namespace troupe::model
