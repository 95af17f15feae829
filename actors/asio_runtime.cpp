#include "actors/asio_runtime.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/cell.h"
#include "base/log.h"

namespace troupe::actors {

namespace asio = boost::asio;

namespace {
// A busy actor lets the others run after this many messages.
constexpr int kMessagesPerRun = 32;
}  // namespace

struct AsioRuntime::Pool {
  explicit Pool(int thread_count) : context(thread_count), work(asio::make_work_guard(context)) {}

  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::condition_variable ended;
  bool stopped = false;
  std::optional<Error> failure;
  std::unordered_map<std::uint64_t, std::unique_ptr<asio::steady_timer>> timers;
  std::uint64_t last_timer = 0;
};

AsioRuntime::AsioRuntime(int threads, FailureHandler on_failure)
    : on_failure_(std::move(on_failure)), pool_(std::make_unique<Pool>(threads)) {
  TROUPE_CHECK(threads > 0, "an actor runtime needs at least one thread, got {}", threads);
  for (int i = 0; i < threads; ++i) {
    pool_->threads.emplace_back([this] { pool_->context.run(); });
  }
}

AsioRuntime::~AsioRuntime() {
  stop();
  for (std::thread& thread : pool_->threads) thread.join();
  end_all_actors();
}

void AsioRuntime::wait() {
  std::unique_lock lock(pool_->mutex);
  pool_->ended.wait(lock, [this] { return pool_->stopped; });
  if (pool_->failure) throw *pool_->failure;
}

void AsioRuntime::stop() {
  {
    const std::lock_guard lock(pool_->mutex);
    pool_->stopped = true;
  }
  pool_->context.stop();
  pool_->ended.notify_all();
}

void AsioRuntime::schedule(std::shared_ptr<detail::Cell> cell) {
  asio::post(pool_->context, [cell = std::move(cell)] { cell->run(kMessagesPerRun); });
}

std::uint64_t AsioRuntime::start_timer(TimePoint when, std::function<void()> fire) {
  const std::lock_guard lock(pool_->mutex);
  const std::uint64_t id = ++pool_->last_timer;
  auto& timer = pool_->timers[id] = std::make_unique<asio::steady_timer>(pool_->context, when);
  timer->async_wait([this, id, fire = std::move(fire)](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    cancel_timer(id);
    fire();
  });
  return id;
}

void AsioRuntime::cancel_timer(std::uint64_t timer) {
  const std::lock_guard lock(pool_->mutex);
  pool_->timers.erase(timer);
}

void AsioRuntime::fail(const Error& error) {
  {
    const std::lock_guard lock(pool_->mutex);
    if (pool_->stopped) return;
    pool_->failure = error;
  }
  log::error("{}", error.what());
  if (on_failure_) on_failure_(error);
  stop();
}

}  // namespace troupe::actors
