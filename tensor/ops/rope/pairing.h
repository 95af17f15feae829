#pragma once

namespace troupe::ops {

/// Which channels of a head's rotated part turn together: i with i + half, or 2i with 2i + 1.
enum class RopePairing { kHalves, kInterleaved };

}  // namespace troupe::ops
