#include "comm/collectives/communicator.h"

#include "base/log.h"

namespace troupe::comm {

Pending& Pending::operator=(Pending&& other) noexcept {
  Pending finished(std::move(*this));
  operation_ = std::move(other.operation_);
  return *this;
}

Pending::~Pending() {
  try {
    wait();
  } catch (const std::exception& error) {
    log::error("{}", error.what());
  }
}

void Pending::progress() {
  if (!operation_) return;
  auto operation = std::move(operation_);  // a failed one is gone
  if (!operation->progress()) operation_ = std::move(operation);
}

void Pending::wait() {
  if (const auto operation = std::move(operation_)) operation->wait();
}

}  // namespace troupe::comm
