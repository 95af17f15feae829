#pragma once
#include <deque>
#include <future>
#include <memory>
#include <type_traits>
#include <utility>

#include "data/sources/input_reader.h"

namespace troupe::data {

/// Calls make(batch) on `threads` threads, and use(result) here, in the order of the batches.
template <class Make, class Use>
void in_order(InputReader& reader, int threads, const Make& make, const Use& use) {
  using Result = std::invoke_result_t<Make, const RawBatch&>;
  std::deque<std::future<Result>> running;
  bool more = true;
  while (more || !running.empty()) {
    while (more && std::ssize(running) < threads) {
      auto raw = std::make_unique<RawBatch>();
      more = reader.next(*raw);
      if (!more) break;
      running.push_back(std::async(std::launch::async, [&make, raw = std::move(raw)] { return make(*raw); }));
    }
    if (running.empty()) break;
    use(running.front().get());
    running.pop_front();
  }
}

}  // namespace troupe::data
