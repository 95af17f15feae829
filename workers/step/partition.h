#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/index.h"
#include "model/model.h"
#include "tensor/parameter.h"

namespace troupe::workers {

/// What one worker owns of a model (updates, keeps the moments of): one slice of each of its buffers.
struct Partition {
  explicit Partition(const model::Model& model);

  std::vector<std::int64_t> dense_slices;   // [workers + 1], offsets in a dense buffer
  std::vector<std::int64_t> expert_slices;  // [replicas + 1], offsets in an expert buffer
  int worker;
  int replica;  // this worker's rank among the replicas of its experts

  struct Slice {
    std::int64_t begin;
    std::int64_t end;
  };
  [[nodiscard]] Slice dense_slice() const { return slice(dense_slices, worker); }
  [[nodiscard]] Slice expert_slice() const { return slice(expert_slices, replica); }

 private:
  static Slice slice(const std::vector<std::int64_t>& slices, int rank) {
    const auto index = at(rank);
    return {slices[index], slices[index + 1]};
  }
};

/// Offsets that cut a buffer laid out by `table` into slices for `ranks` owners: [ranks + 1].
[[nodiscard]] std::vector<std::int64_t> slices_of(const ParameterTable& table, int ranks);

/// Every rank's slice of `values` to every rank. Collective.
void gather_slices(comm::Communicator& communicator, const std::vector<std::int64_t>& slices,
                   std::span<float> values);

/// What each worker has in the slices that it owns, to all that hold the same parameters. Collective.
///   dense, experts: the model's buffers, or mirrors of them
void gather_owned(const Partition& partition, const model::Model& model, std::span<float> dense,
                  std::span<float> experts);

/// Calls body(spec, element_begin, buffer_begin, length) for every stretch of a parameter inside
/// [slice.begin, slice.end) of a buffer laid out by `table`: `length` elements from element_begin of the
/// global tensor lie at buffer_begin.
template <class Body>
void for_each_stretch(const ParameterTable& table, Partition::Slice slice, const Body& body) {
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const ParameterSpec& spec = table.specs()[i];
    const std::int64_t begin = std::max(slice.begin, table.offset(i));
    const std::int64_t end = std::min(slice.end, table.offset(i) + spec.elements());
    if (begin < end) body(spec, spec.global_begin() + begin - table.offset(i), begin, end - begin);
  }
}

}  // namespace troupe::workers
