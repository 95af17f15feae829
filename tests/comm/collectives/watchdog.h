#pragma once
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace troupe::comm::testing {

/// Ends the process, naming rank and operation, when an operation takes longer than `limit`.
class Watchdog {
 public:
  Watchdog(int rank, std::chrono::seconds limit) : rank_(rank), limit_(limit), thread_([this] { watch(); }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void now_in(std::string_view operation) {
    {
      const std::lock_guard lock(mutex_);
      operation_ = operation;
      ++number_;
    }
    changed_.notify_all();
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      const auto number = number_;
      if (changed_.wait_for(lock, limit_, [&] { return stopped_ || number_ != number; })) continue;
      std::fprintf(stderr, "rank %d is stuck in %s\n", rank_, operation_.c_str());
      std::fflush(stderr);
      ::_exit(124);
    }
  }

  int rank_;
  std::chrono::seconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string operation_ = "start-up";
  long number_ = 0;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace troupe::comm::testing
