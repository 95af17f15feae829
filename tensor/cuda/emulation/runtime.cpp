#include "tensor/cuda/runtime.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "base/error.h"
#include "tensor/cuda/emulation/block.h"
#include "tensor/cuda/emulation/runtime.h"

namespace troupe::cuda {
namespace {

/// Times it was recorded, and how many of them have been reached. As in CUDA, what is queued keeps it alive
/// after its handle is destroyed.
struct EmulatedEvent {
  std::int64_t recorded = 0;
  std::int64_t reached = 0;
};
using SharedEvent = std::shared_ptr<EmulatedEvent>;

/// Runs when it must: at a wait of the host, or when the random order of queues comes to it.
struct Task {
  std::function<bool()> ready;  // empty: always
  std::function<void()> run;
};
struct EmulatedQueue {
  std::deque<Task> tasks;
};

/// One device; used by one thread.
struct EmulatedDevice {
  std::vector<EmulatedQueue*> queues;
  emulation::Generator generator{0};
};

EmulatedDevice& emulated() {
  thread_local EmulatedDevice the_device;
  return the_device;
}

EmulatedQueue& queue_of(void* handle) { return *static_cast<EmulatedQueue*>(handle); }
SharedEvent& event_of(void* handle) { return *static_cast<SharedEvent*>(handle); }

bool can_run(const EmulatedQueue& queue) {
  return !queue.tasks.empty() && (!queue.tasks.front().ready || queue.tasks.front().ready());
}

/// The oldest task of any queue that may go on.
void run_one() {
  auto& device = emulated();
  std::vector<EmulatedQueue*> candidates;
  for (EmulatedQueue* queue : device.queues) {
    if (can_run(*queue)) candidates.push_back(queue);
  }
  TROUPE_CHECK(!candidates.empty(), "every queue waits for an event that nothing will reach");
  auto& tasks = candidates[device.generator() % candidates.size()]->tasks;
  const Task task = std::move(tasks.front());
  tasks.pop_front();
  task.run();
}

bool anything_can_run() {
  return std::ranges::any_of(emulated().queues, [](const EmulatedQueue* queue) { return can_run(*queue); });
}

/// As CUDA does: memory goes only when nothing that was queued can still touch it.
void release_after_all_work(void* memory) {
  while (memory != nullptr && anything_can_run()) run_one();
  std::free(memory);
}

std::atomic<std::int64_t> allocation_count{0};

void* allocate_poisoned(std::size_t bytes) {
  ++allocation_count;
  constexpr std::size_t kAlignment = 256;
  const std::size_t size = (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, size);
  if (memory == nullptr) throw std::bad_alloc();
  emulation::poison(memory, size);
  return memory;
}

}  // namespace

void check_launch(const char* /*kernel*/) {}

namespace emulation {

void set_seed(std::uint64_t seed) { emulated().generator.seed(seed); }

std::int64_t allocations() { return allocation_count; }

void enqueue(void* queue, dim3 grid, int threads, std::size_t shared_bytes, const char* name,
             std::function<void()> body) {
  queue_of(queue).tasks.push_back({{}, [=, body = std::move(body)] {
                                     run_grid(grid, threads, shared_bytes, name, body, emulated().generator);
                                   }});
}

}  // namespace emulation

namespace runtime {

int device_count() { return 1; }
std::string device_name(int /*device*/) { return "emulated"; }
int compute_capability(int /*device*/) { return 0; }
void use_device(int device) { TROUPE_CHECK(device == 0, "device {} of 1", device); }

std::int64_t free_bytes() { return std::int64_t{1} << 30; }
void* allocate(std::size_t bytes) { return allocate_poisoned(bytes); }
void release(void* memory) noexcept { release_after_all_work(memory); }
void* allocate_pinned(std::size_t bytes) { return allocate_poisoned(bytes); }
void release_pinned(void* memory) noexcept { release_after_all_work(memory); }

void* create_queue() {
  auto* queue = new EmulatedQueue;
  emulated().queues.push_back(queue);
  return queue;
}

/// As CUDA does: what is in it still runs.
void destroy_queue(void* queue) noexcept {
  synchronize(queue);
  std::erase(emulated().queues, &queue_of(queue));
  delete &queue_of(queue);
}

void synchronize(void* queue) {
  while (!queue_of(queue).tasks.empty()) run_one();
}

void copy(void* queue, void* target, const void* source, std::size_t bytes) {
  queue_of(queue).tasks.push_back({{}, [=] {
                                     if (bytes > 0) std::memcpy(target, source, bytes);
                                   }});
}
void clear(void* queue, void* target, std::size_t bytes) {
  queue_of(queue).tasks.push_back({{}, [=] {
                                     if (bytes > 0) std::memset(target, 0, bytes);
                                   }});
}

void* create_event() { return new SharedEvent(std::make_shared<EmulatedEvent>()); }
void destroy_event(void* event) noexcept { delete &event_of(event); }
void record(void* event, void* queue) {
  const SharedEvent& shared = event_of(event);
  queue_of(queue).tasks.push_back({{}, [shared, number = ++shared->recorded] { shared->reached = number; }});
}
void wait(void* queue, void* event) {
  const SharedEvent& shared = event_of(event);
  queue_of(queue).tasks.push_back(
      {[shared, number = shared->recorded] { return shared->reached >= number; }, [] {}});
}
bool happened(void* event) { return event_of(event)->reached == event_of(event)->recorded; }
void wait_for(void* event) {
  while (!happened(event)) run_one();
}
double seconds_between(void* /*first*/, void* /*second*/) { return 0.0; }

}  // namespace runtime
}  // namespace troupe::cuda
