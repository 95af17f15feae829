#pragma once
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace troupe::comm::detail {

/// Operations of one kind, used again once complete() says so: as many as were ever under way at once.
template <class Operation>
class OperationPool {
 public:
  /// One that is complete; a new one, made from `arguments`, if there is none.
  template <class... Arguments>
  [[nodiscard]] Operation& idle(Arguments&&... arguments) {
    const auto found = std::ranges::find_if(all_, [](const auto& each) { return each->complete(); });
    if (found != all_.end()) return **found;
    return *all_.emplace_back(std::make_unique<Operation>(std::forward<Arguments>(arguments)...));
  }

 private:
  std::vector<std::unique_ptr<Operation>> all_;  // few
};

}  // namespace troupe::comm::detail
