#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/bench/timing.h"

namespace troupe::benchmarks {

/// One line of a benchmark's table.
struct Measurement {
  std::string what;            // the operation and its shape: "1024 x 1024 x 512"
  Timing seconds;              // of one repeat
  double amount = 0.0;         // what one repeat does, in units of Report::unit per second; 0: no rate
  double floor_seconds = 0.0;  // what the floor takes for the same, measured in this process; 0: no floor
};

/// One part of a whole: a phase's ops.
struct Part {
  std::string name;
  double seconds = 0.0;
  double share = 0.0;      // of the whole; shares add up to 1
  std::int64_t calls = 0;  // 0: not an op
  double rate = 0.0;       // GFLOP/s; 0: no product
};

/// A number that is not a line: the peak, a ratio, a count.
struct Fact {
  std::string name;  // snake_case with its unit: "peak_gflops"
  double value = 0.0;
};

/// What a benchmark found. Text shows lines, then facts; JSON has the same under the same names.
struct Report {
  std::string title;  // what was measured and how: shapes, threads, ranks
  std::string unit;   // of rates: "GFLOP/s", "GB/s"; amounts are in its numerator
  std::string floor;  // what floor_seconds is: "peak GEMM", "memcpy", "MPI_Alltoallv"
  std::vector<Measurement> measurements;
  std::vector<Part> parts = {};
  std::vector<Fact> facts;
};

/// The text or, with `json`, the JSON object of a report, ending in a newline.
[[nodiscard]] std::string to_text(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);
/// Writes one of them to standard output.
void print(const Report& report, bool json);

}  // namespace troupe::benchmarks
