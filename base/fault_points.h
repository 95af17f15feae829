#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// Named places at which tests make a process fail: every phase of a step, every collective, and the parts of
/// a save. The program itself only passes them; a program for tests (tests/fault/) sets what happens there.
namespace troupe::fault_points {

/// rank: of the worker, or kCoordinator; step: that is worked on
using Act = void (*)(std::string_view point, std::int64_t rank, std::int64_t step);
inline constinit std::atomic<Act> act = nullptr;

/// Data that tests spoil at such a place.
using Spoil = void (*)(std::string_view point, std::int64_t rank, std::int64_t step,
                       std::span<std::byte> data);
inline constinit std::atomic<Spoil> spoil = nullptr;

inline constexpr std::int64_t kCoordinator = -1;

inline void reach(const char* point, std::int64_t rank, std::int64_t step) {
  if (const Act what = act.load(std::memory_order_relaxed); what != nullptr) [[unlikely]]
    what(point, rank, step);
}

inline void reach(const char* point, std::int64_t rank, std::int64_t step, std::span<std::byte> data) {
  if (const Spoil how = spoil.load(std::memory_order_relaxed); how != nullptr) [[unlikely]]
    how(point, rank, step, data);
}

}  // namespace troupe::fault_points
