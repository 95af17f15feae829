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

bool Pending::progress() {
  if (!operation_) return true;
  auto operation = std::move(operation_);  // a failed one is gone
  if (operation->progress()) return true;
  operation_ = std::move(operation);
  return false;
}

void Pending::wait() {
  if (const auto operation = std::move(operation_)) operation->wait();
}

}  // namespace troupe::comm
