#pragma once
#include <cstdint>
#include <vector>

#include "comm/collectives/communicator.h"
#include "tensor/accelerator.h"
#include "tensor/tensor.h"

namespace troupe::workers {

/// Every rank's slice of a flat buffer to every rank. Buffers on a device travel through the host's memory,
/// which is taken by the first of them.
class SliceGathering {
 public:
  /// slices: [ranks + 1], offsets in the buffer; accelerator: null when that is on the host. Collective.
  void gather(comm::Communicator& communicator, const std::vector<std::int64_t>& slices,
              Accelerator* accelerator, TensorView buffer);

 private:
  std::vector<float> here_;
};

}  // namespace troupe::workers
