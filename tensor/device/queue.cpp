#include "tensor/device/queue.h"

#include <utility>

#include "tensor/cuda/runtime.h"

namespace troupe::device {

namespace runtime = cuda::runtime;

Event::Event() : handle_(runtime::create_event()) {}
Event::~Event() {
  if (handle_ != nullptr) runtime::destroy_event(handle_);
}
Event::Event(Event&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Event& Event::operator=(Event&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

bool Event::happened() const { return runtime::happened(handle_); }
void Event::wait() const { runtime::wait_for(handle_); }
double Event::seconds_since(const Event& earlier) const {
  return runtime::seconds_between(earlier.handle_, handle_);
}

Queue::Queue() : handle_(runtime::create_queue()) {}
Queue::~Queue() {
  if (handle_ != nullptr) runtime::destroy_queue(handle_);
}
Queue::Queue(Queue&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Queue& Queue::operator=(Queue&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

void Queue::copy(void* target, const void* source, std::size_t bytes) {
  runtime::copy(handle_, target, source, bytes);
}
void Queue::clear(void* target, std::size_t bytes) { runtime::clear(handle_, target, bytes); }
void Queue::record(Event& event) { runtime::record(event.handle_, handle_); }
void Queue::wait(const Event& event) { runtime::wait(handle_, event.handle_); }
void Queue::synchronize() { runtime::synchronize(handle_); }

}  // namespace troupe::device
