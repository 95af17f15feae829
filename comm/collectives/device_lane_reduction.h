#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"
#include "comm/collectives/lane_reduction.h"
#include "tensor/accelerator.h"
#include "tensor/tensor.h"

namespace troupe::comm {

/// LaneReduction of lanes in a device's memory: the same owners, pieces and order of additions, made by the
/// device. Between workers lanes travel through the host's memory.
class DeviceLaneReduction {
 public:
  /// Collective, all ranks with the same scratch. The communicator and the accelerator must outlive it.
  DeviceLaneReduction(Communicator& communicator, int total_lanes, std::vector<std::int64_t> slice_begin,
                      std::int64_t scratch_elements, Accelerator& accelerator);

  /// Collective. lanes: this rank's, ascending, flat; scratch: on the host, as long as was said. Returns the
  /// sum of this rank's slice, until the next call; of a single lane its own memory.
  [[nodiscard]] ConstTensorView reduce(std::span<const TensorView> lanes, std::span<float> scratch);

 private:
  /// Brings the other ranks' lanes of this rank's piece to received_.
  void exchange(std::int64_t round, std::span<const TensorView> lanes, std::span<float> scratch);
  /// Copies this rank's lanes to the host, one block per peer; returns the elements.
  std::int64_t pack(std::int64_t round, std::span<const TensorView> lanes, std::span<float> scratch);
  void add(std::int64_t round, std::span<const TensorView> lanes);

  Communicator& communicator_;
  int rank_;
  Accelerator& accelerator_;
  LaneExchange plan_;
  Tensor total_;
  Tensor received_;
  std::vector<std::int64_t> send_bytes_;     // [ranks]
  std::vector<std::int64_t> receive_bytes_;  // [ranks]
  std::vector<ConstTensorView> sources_;     // [total lanes]
};

}  // namespace troupe::comm
