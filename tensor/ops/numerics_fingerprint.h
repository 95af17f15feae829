#pragma once
#include <cstdint>

namespace troupe::ops {

/// XXH3 of the output bits of every kernel on fixed inputs, one thread. Machines whose fingerprints
/// differ (another instruction set, library or build) cannot share a run: their results would
/// depend on who computes what (docs/architecture.md, "Layout invariance", rule 14). Takes a few
/// milliseconds.
[[nodiscard]] std::uint64_t numerics_fingerprint();

}  // namespace troupe::ops
