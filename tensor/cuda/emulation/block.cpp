#include "tensor/cuda/emulation/block.h"

#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "base/index.h"

namespace troupe::cuda::emulation {
namespace {

constexpr int kLanes = 32;
constexpr std::size_t kStackBytes = 64 << 10;

thread_local Block* current_block = nullptr;

boost::context::pooled_fixedsize_stack& stacks() {
  thread_local boost::context::pooled_fixedsize_stack pool(kStackBytes);
  return pool;
}

}  // namespace

Block::Block(int threads, std::byte* shared, const char* kernel, Generator& generator)
    : shared_(shared),
      kernel_(kernel),
      generator_(generator),
      threads_(at(threads)),
      warps_(at(threads / kLanes)) {
  TROUPE_CHECK(threads > 0 && threads % kLanes == 0, "kernel {}: blocks of {} threads", kernel, threads);
}

void Block::run(const std::function<void()>& body) {
  current_block = this;
  std::size_t ended = 0;
  for (auto& thread : threads_) {
    thread.fiber = boost::context::fiber(std::allocator_arg, stacks(), [&](boost::context::fiber&& from) {
      scheduler_ = std::move(from);
      body();
      ++ended;
      return std::move(scheduler_);
    });
  }
  runnable_.resize(threads_.size());
  std::iota(runnable_.begin(), runnable_.end(), 0);
  while (!runnable_.empty()) {
    std::swap(runnable_[generator_() % runnable_.size()], runnable_.back());
    running_ = runnable_.back();
    runnable_.pop_back();
    threadIdx.x = static_cast<unsigned>(running_);
    auto& fiber = threads_[at(running_)].fiber;
    fiber = std::move(fiber).resume();
  }
  TROUPE_CHECK(ended == threads_.size(), "kernel {}: {}", kernel_, stuck());
}

void Block::arrive(Rendezvous& rendezvous, int members, std::string where) {
  threads_[at(running_)].waits_at = std::move(where);
  rendezvous.waiting.push_back(running_);
  if (std::ssize(rendezvous.waiting) == members) {
    runnable_.insert(runnable_.end(), rendezvous.waiting.begin(), rendezvous.waiting.end());
    rendezvous.waiting.clear();
  }
  scheduler_ = std::move(scheduler_).resume();
}

void Block::barrier(const char* file, int line) {
  arrive(all_, static_cast<int>(threads_.size()), std::string(file) + ":" + std::to_string(line));
}

const std::uint64_t* Block::gather(std::uint64_t value) {
  auto& thread = threads_[at(running_)];
  auto& warp = warps_[at(running_ / kLanes)];
  std::uint64_t* values = warp.values[thread.warp_operations++ % 2];
  values[running_ % kLanes] = value;
  arrive(warp.rendezvous, kLanes, "a warp operation");
  return values;
}

std::uint64_t Block::exchange(std::uint64_t value, int source) { return gather(value)[source]; }

unsigned Block::ballot(bool value) {
  const std::uint64_t* values = gather(value ? 1 : 0);
  unsigned bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) bits |= values[lane] != 0 ? 1U << lane : 0U;
  return bits;
}

std::string Block::stuck() const {
  std::string message = "threads wait for others that never come:";
  const auto add = [&](int thread) {
    message += " " + std::to_string(thread) + " at " + threads_[at(thread)].waits_at;
  };
  if (!all_.waiting.empty()) add(all_.waiting.front());
  for (const auto& warp : warps_) {
    if (!warp.rendezvous.waiting.empty()) add(warp.rendezvous.waiting.front());
  }
  return message;
}

void run_grid(dim3 grid, int threads, std::size_t shared_bytes, const char* kernel,
              const std::function<void()>& body, Generator& generator) {
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> shared(shared_bytes / sizeof(Line) + 1);
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  std::vector<std::size_t> order(blocks);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), generator);
  gridDim = grid;
  blockDim = {static_cast<unsigned>(threads), 1, 1};
  for (const std::size_t block : order) {
    poison(shared.data(), shared.size() * sizeof(Line));
    blockIdx = {static_cast<unsigned>(block % grid.x), static_cast<unsigned>(block / grid.x % grid.y),
                static_cast<unsigned>(block / grid.x / grid.y)};
    Block(threads, shared.front().bytes, kernel, generator).run(body);
  }
}

void poison(void* memory, std::size_t bytes) {
  constexpr std::uint32_t kPattern = 0xFFFFDEADU;
  auto* next = static_cast<std::byte*>(memory);
  for (; bytes >= sizeof kPattern; bytes -= sizeof kPattern, next += sizeof kPattern) {
    std::memcpy(next, &kPattern, sizeof kPattern);
  }
  std::memset(next, 0xFF, bytes);
}

void* shared_memory() { return current_block->shared(); }
void block_barrier(const char* file, int line) { current_block->barrier(file, line); }
std::uint64_t exchange(std::uint64_t value, int source) { return current_block->exchange(value, source); }
unsigned ballot(bool value) { return current_block->ballot(value); }

}  // namespace troupe::cuda::emulation
