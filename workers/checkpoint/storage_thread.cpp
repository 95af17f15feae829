#include "workers/checkpoint/storage_thread.h"

namespace troupe::workers {

StorageThread::StorageThread() : thread_([this] { work(); }) {}

StorageThread::~StorageThread() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::future<void> StorageThread::start(std::function<void()> job) {
  std::packaged_task<void()> task(std::move(job));
  std::future<void> done = task.get_future();
  {
    const std::scoped_lock lock(mutex_);
    jobs_.push(std::move(task));
  }
  changed_.notify_one();
  return done;
}

void StorageThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    std::packaged_task<void()> task = std::move(jobs_.front());
    jobs_.pop();
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace troupe::workers
