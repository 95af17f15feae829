#include "comm/collectives/mpi/mpi_environment.h"

#include <mpi.h>

#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "base/log.h"
#include "comm/collectives/mpi/mpi_check.h"

namespace troupe::comm {

using detail::check_mpi;

MpiEnvironment::MpiEnvironment() : exceptions_at_start_(std::uncaught_exceptions()) {
  // Its handlers of faults print a stack, which waits for ever where the fault is in malloc.
  if (::setenv("OMPI_MCA_opal_signal", "", 0) != 0) throw io_error("cannot set an environment variable");
  int provided = MPI_THREAD_SINGLE;
  const int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  TROUPE_CHECK(code == MPI_SUCCESS, "MPI_Init_thread returned {}", code);
  TROUPE_CHECK(provided >= MPI_THREAD_FUNNELED, "this MPI allows no threads beside its own (level {})",
               provided);
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
}

MpiEnvironment::~MpiEnvironment() {
  if (std::uncaught_exceptions() > exceptions_at_start_) return;  // the peers would wait, or make us wait
  if (const int code = MPI_Finalize(); code != MPI_SUCCESS) log::error("MPI_Finalize returned {}", code);
}

void MpiEnvironment::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);  // in case MPI_Abort comes back
}

bool MpiEnvironment::launched_by_mpi() {
  return std::getenv("OMPI_COMM_WORLD_RANK") != nullptr || std::getenv("PMIX_RANK") != nullptr;
}

}  // namespace troupe::comm
