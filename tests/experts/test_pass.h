#pragma once
#include "layers/pass.h"

namespace troupe::experts {

/// A pass without weights, for what needs only an arena and threads.
struct TestPass {
  explicit TestPass(int threads = 1) : pass{.execution = {threads}, .arena = arena} {}

  Arena arena{std::size_t{1} << 24};
  Pass pass;
};

}  // namespace troupe::experts
