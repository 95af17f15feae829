#include "comm/collectives/mpi/mpi_check.h"

#include <mpi.h>

#include <array>

#include "base/error.h"
#include "base/index.h"

namespace troupe::comm::detail {
namespace {

bool is_our_mistake(int code) {
  int error_class = MPI_ERR_UNKNOWN;
  if (MPI_Error_class(code, &error_class) != MPI_SUCCESS) return false;
  switch (error_class) {
    case MPI_ERR_BUFFER:
    case MPI_ERR_COUNT:
    case MPI_ERR_TYPE:
    case MPI_ERR_COMM:
    case MPI_ERR_RANK:
    case MPI_ERR_ROOT:
    case MPI_ERR_OP:
    case MPI_ERR_ARG:
    case MPI_ERR_TRUNCATE:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string mpi_message(int code) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) return fmt::format("MPI error {}", code);
  return {text.data(), at(length)};
}

void check_mpi(int code, const std::string& what) {
  if (code == MPI_SUCCESS) return;
  throw Error(is_our_mistake(code) ? ErrorCode::kInternal : ErrorCode::kPeerLost, "{}: {}", what,
              mpi_message(code));
}

}  // namespace troupe::comm::detail
