#include "comm/collectives/mpi/pairwise_exchange.h"

#include "base/log.h"
#include "comm/collectives/mpi/mpi_check.h"

namespace troupe::comm::detail {
namespace {

constexpr int kTag = 1;

}  // namespace

void PairwiseExchange::begin(std::string_view operation) {
  operation_ = operation;
  messages_.clear();
  completed_ = 0;
  failure_.reset();
}

// An empty block is one empty message, so that a size that only one side believes in is noticed and not
// waited for.
void PairwiseExchange::send_to(int peer, std::span<const std::byte> block) {
  for_each_message(block, [&](const std::byte* data, int bytes) {
    Message& message = add(peer, bytes, /*arrives=*/false);
    const int code = MPI_Isend(data, bytes, MPI_BYTE, peer, kTag, communicator_, &message.request);
    if (code != MPI_SUCCESS) check_mpi(code, fmt::format("{}: MPI_Isend to rank {}", operation_, peer));
  });
}

void PairwiseExchange::receive_from(int peer, std::span<std::byte> block) {
  for_each_message(block, [&](std::byte* data, int bytes) {
    Message& message = add(peer, bytes, /*arrives=*/true);
    const int code = MPI_Irecv(data, bytes, MPI_BYTE, peer, kTag, communicator_, &message.request);
    if (code != MPI_SUCCESS) check_mpi(code, fmt::format("{}: MPI_Irecv from rank {}", operation_, peer));
  });
}

PairwiseExchange::Message& PairwiseExchange::add(int peer, int bytes, bool arrives) {
  return messages_.emplace_back(MPI_REQUEST_NULL, peer, bytes, arrives);
}

// Messages are completed one by one: Open MPI 4.1's MPI_Waitall can spin for ever after an error.
bool PairwiseExchange::progress() {
  while (!complete()) {
    int arrived = 0;
    MPI_Status status{};
    const int code = MPI_Test(&messages_[completed_].request, &arrived, &status);
    if (code == MPI_SUCCESS && arrived == 0) return false;
    note(code, status);
  }
  throw_failure();
  return true;
}

void PairwiseExchange::wait() {
  while (!complete()) {
    MPI_Status status{};
    const int code = MPI_Wait(&messages_[completed_].request, &status);
    note(code, status);
  }
  throw_failure();
}

/// The next message is complete. A failure waits for the other messages, which are still under way.
void PairwiseExchange::note(int code, const MPI_Status& status) {
  const Message& message = messages_[completed_++];
  if (failure_) return;
  try {
    check(message, code, status);
  } catch (const Error& error) {
    failure_ = error;
  }
}

void PairwiseExchange::check(const Message& message, int code, const MPI_Status& status) const {
  const auto [request, peer, expected, arrives] = message;
  if (code != MPI_SUCCESS) {
    check_mpi(code,
              fmt::format("{}: {} bytes {} rank {}", operation_, expected, arrives ? "from" : "to", peer));
  }
  if (!arrives) return;
  int bytes = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
  TROUPE_CHECK(bytes == expected, "{}: rank {} sends {} bytes, {} were expected", operation_, peer, bytes,
               expected);
}

void PairwiseExchange::throw_failure() const {
  if (failure_) throw Error(*failure_);
}

void PairwiseExchange::cancel() noexcept {
  for (Message& message : messages_) {
    if (message.request == MPI_REQUEST_NULL) continue;
    if (message.arrives && MPI_Cancel(&message.request) != MPI_SUCCESS)
      log::error("{}: MPI_Cancel failed", operation_);
    if (MPI_Request_free(&message.request) != MPI_SUCCESS)
      log::error("{}: MPI_Request_free failed", operation_);
  }
  completed_ = messages_.size();
}

}  // namespace troupe::comm::detail
