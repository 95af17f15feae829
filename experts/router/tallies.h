#pragma once
#include "layout/load_statistics.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Counts what the tables ask for beyond the load, of one microbatch and layer; both are overwritten and may
/// be empty. Serial and integer: the same for every layout and number of threads.
///   chosen: [tokens, slots] i32, -1 in empty slots
///   domains: [tokens] i32 in 0 … D-1, or empty: no token is counted
///   load.domains: [D * choices], pairs by the domain of their token; load.counts gives the choices
///   load.co_activation: [experts * experts], tokens that chose both of i < j; zero-compute experts are none
void tally(ConstTensorView chosen, ConstTensorView domains, const layout::LayerStatistics& load);

}  // namespace troupe::experts
