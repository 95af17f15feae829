#pragma once
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <queue>
#include <thread>
#include <utility>

namespace troupe::workers {

/// The one thread of a process that calls HDF5, which is not thread-safe. Jobs run in order.
class StorageThread {
 public:
  StorageThread();
  ~StorageThread();  // runs what is queued, then ends
  StorageThread(const StorageThread&) = delete;
  StorageThread& operator=(const StorageThread&) = delete;

  /// Runs a job there, behind those that are queued. What it throws is the future's. From any thread.
  [[nodiscard]] std::future<void> start(std::function<void()> job);
  /// The same, and waits for it; rethrows what it throws. From any other thread.
  void run(std::function<void()> job) { start(std::move(job)).get(); }

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<std::packaged_task<void()>> jobs_;
  bool ending_ = false;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace troupe::workers
