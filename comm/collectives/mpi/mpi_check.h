#pragma once
#include <string>

namespace troupe::comm::detail {

/// Throws when an MPI function did not return MPI_SUCCESS: kInternal for wrong arguments and sizes,
/// else kPeerLost, since MPI fails otherwise only when processes or links are gone.
void check_mpi(int code, const std::string& what);

/// MPI's own text for a return code.
[[nodiscard]] std::string mpi_message(int code);

}  // namespace troupe::comm::detail
