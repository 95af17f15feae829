#pragma once
#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "configs/rules.h"

namespace troupe::configs {

/// What rules gather, in the order in which it is found.
class RuleList {
 public:
  /// One rule: what is wrong, in words for people, unless it holds.
  template <class... Args>
  void require(bool holds, std::string_view key, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds) problems_.push_back({std::string(key), fmt::format(format, std::forward<Args>(args)...)});
  }

  void add(std::vector<RuleProblem> problems) {
    problems_.insert(problems_.end(), std::make_move_iterator(problems.begin()),
                     std::make_move_iterator(problems.end()));
  }

  [[nodiscard]] std::vector<RuleProblem> take() { return std::move(problems_); }

 private:
  std::vector<RuleProblem> problems_;
};

}  // namespace troupe::configs
