#include "comm/collectives/communicator.h"

#include "base/log.h"
#include "base/progress.h"

namespace troupe::comm {

Pending& Pending::operator=(Pending&& other) noexcept {
  Pending finished(std::move(*this));
  operation_ = std::exchange(other.operation_, nullptr);
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
  if (operation_ == nullptr) return true;
  Operation* operation = std::exchange(operation_, nullptr);  // a failed one is gone
  if (operation->progress()) return true;
  operation_ = operation;
  return false;
}

void Pending::wait() {
  auto* operation = std::exchange(operation_, nullptr);
  if (operation == nullptr) return;
  const progress::CollectiveScope scope("all_to_all_v");
  operation->wait();
}

}  // namespace troupe::comm
