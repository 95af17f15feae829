#pragma once
#include <cstdint>
#include <string>

#include "base/fields.h"

namespace troupe::comm {

/// An address that is chosen by where the workers are; without workers elsewhere 127.0.0.1.
inline constexpr const char* kAutomaticAddress = "auto";

/// `control`: the TCP channel between the coordinator and its workers.
struct ControlOptions {
  std::string address = kAutomaticAddress;  // where the coordinator listens
  std::int64_t port = 0;                    // 0: any free one
  double heartbeat_seconds = 0.25;
};

void describe(Fields& fields, ControlOptions& options);

}  // namespace troupe::comm
