#include "workers/step/slice_gathering.h"

#include "base/index.h"
#include "tensor/transfer.h"
#include "workers/step/partition.h"

namespace troupe::workers {

void SliceGathering::gather(comm::Communicator& communicator, const std::vector<std::int64_t>& slices,
                            Accelerator* accelerator, TensorView buffer) {
  if (accelerator == nullptr) return gather_slices(communicator, slices, buffer.floats());
  if (communicator.size() == 1) return;
  const auto rank = at(communicator.rank());
  const std::int64_t begin = slices[rank];
  const std::int64_t size = slices[rank + 1] - begin;
  if (std::ssize(here_) < buffer.elements()) here_.resize(at(buffer.elements()));
  const std::span<float> values = part(here_, 0, buffer.elements());
  transfer(accelerator, buffer.rows(begin, size), part(values, begin, size));
  gather_slices(communicator, slices, values);
  transfer(accelerator, values, buffer);
}

}  // namespace troupe::workers
