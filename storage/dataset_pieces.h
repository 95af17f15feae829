#pragma once
#include <cstddef>
#include <functional>
#include <span>

#include "storage/hash.h"
#include "storage/hdf5/dataset.h"

namespace troupe::storage {

/// Calls body(bytes) for all elements in order, at most 4 MiB at once.
void for_each_piece(const hdf5::Dataset& dataset,
                    const std::function<void(std::span<const std::byte>)>& body);

[[nodiscard]] Hash128 hash_dataset(const hdf5::Dataset& dataset);

}  // namespace troupe::storage
