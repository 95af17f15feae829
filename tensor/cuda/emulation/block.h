#pragma once
#include <boost/context/fiber.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tensor/cuda/emulation/kernel_language.h"

namespace troupe::cuda::emulation {

using Generator = std::mt19937_64;

/// One block of a grid: its threads are fibers of the calling thread, resumed in random order. A thread runs
/// until it waits (a barrier, a warp operation) or ends.
class Block {
 public:
  /// threads: a multiple of 32. shared: the block's shared memory.
  Block(int threads, std::byte* shared, const char* kernel, Generator& generator);

  /// Throws kInternal, naming the kernel, when threads wait for one that has ended or waits elsewhere.
  void run(const std::function<void()>& body);

  // For the running thread:
  [[nodiscard]] std::byte* shared() const { return shared_; }
  void barrier(const char* file, int line);
  [[nodiscard]] std::uint64_t exchange(std::uint64_t value, int source);
  [[nodiscard]] unsigned ballot(bool value);

 private:
  struct Thread {
    boost::context::fiber fiber;
    std::string waits_at;
    int warp_operations = 0;
  };
  /// Lets those who arrived go on once all have.
  struct Rendezvous {
    std::vector<int> waiting;
  };
  struct Warp {
    Rendezvous rendezvous;
    std::uint64_t values[2][32] = {};  // by turns: a lane may be one operation ahead
  };

  void arrive(Rendezvous& rendezvous, int members, std::string where);
  /// All lanes' values of this warp operation.
  [[nodiscard]] const std::uint64_t* gather(std::uint64_t value);
  [[nodiscard]] std::string stuck() const;

  std::byte* shared_;
  const char* kernel_;
  Generator& generator_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  Rendezvous all_;
  std::vector<int> runnable_;
  int running_ = 0;
  boost::context::fiber scheduler_;
};

/// Runs every block of a grid, in random order; shared memory is poisoned before each.
void run_grid(dim3 grid, int threads, std::size_t shared_bytes, const char* kernel,
              const std::function<void()>& body, Generator& generator);

/// Fills memory with a pattern that is NaN as float and double and a negative integer.
void poison(void* memory, std::size_t bytes);

}  // namespace troupe::cuda::emulation
