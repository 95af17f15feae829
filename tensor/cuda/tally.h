#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// counts[domain of the token][choice] of every filled slot. Reference: experts/router/tallies.h.
///   chosen: [tokens, slots], -1 in empty slots; domains: [tokens], rows of counts
///   counts: [domains, choices], without gaps, added to
void count_domains(Stream stream, Matrix<const std::int32_t> chosen, const std::int32_t* domains,
                   Matrix<std::int64_t> counts);

}  // namespace troupe::cuda
