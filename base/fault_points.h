#pragma once
#include <atomic>
#include <cstdint>
#include <string_view>

/// Named places at which tests make a process fail: every phase of a step, every collective, and the parts of
/// a save. The program itself only passes them; a program for tests (tests/fault/) sets what happens there.
namespace troupe::fault_points {

/// rank: of the worker, or kCoordinator; step: that is worked on
using Act = void (*)(std::string_view point, std::int64_t rank, std::int64_t step);
inline constinit std::atomic<Act> act = nullptr;

inline constexpr std::int64_t kCoordinator = -1;

inline void reach(const char* point, std::int64_t rank, std::int64_t step) {
  if (const Act what = act.load(std::memory_order_relaxed); what != nullptr) [[unlikely]]
    what(point, rank, step);
}

}  // namespace troupe::fault_points
