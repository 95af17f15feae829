#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tensor/cuda/views.h"
#include "tensor/device/device.h"
#include "tensor/ops/matrix.h"

/// Device ops against their references, on a GPU or on the emulation of one, whichever runtime the program
/// is linked with. Without a test library: the program also runs on machines that have nothing but a GPU.
namespace troupe::op_check {

/// Uniform in [-1, 1), the same everywhere.
[[nodiscard]] std::vector<float> random_values(std::int64_t count, std::uint64_t stream);
/// Uniform in [0, bound).
[[nodiscard]] std::vector<std::int32_t> random_integers(std::int64_t count, std::int32_t bound,
                                                        std::uint64_t stream);

/// Elements between rows: such that rows of whole fours can be read by four, others cannot.
[[nodiscard]] inline std::int64_t gap_of(std::int64_t columns) { return columns % 4 == 0 ? 4 : 3; }

/// A matrix on the host whose rows lie further apart than they are long.
struct HostMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;
  std::vector<float> values;

  static HostMatrix random(std::int64_t rows, std::int64_t columns, std::uint64_t stream, std::int64_t gap);
  static HostMatrix random(std::int64_t rows, std::int64_t columns, std::uint64_t stream) {
    return random(rows, columns, stream, gap_of(columns));
  }
  /// Its elements alone, as fp64.
  [[nodiscard]] std::vector<double> f64() const;
};

/// Contiguous fp64 matrix over a vector, for the references.
[[nodiscard]] inline ops::Matrix<double> matrix_of(std::vector<double>& values, std::int64_t columns) {
  return {values.data(), static_cast<std::int64_t>(values.size()) / columns, columns, columns};
}
[[nodiscard]] inline ops::Matrix<const double> matrix_of(const std::vector<double>& values,
                                                         std::int64_t columns) {
  return {values.data(), static_cast<std::int64_t>(values.size()) / columns, columns, columns};
}

/// One output of a case beside what it should be.
struct Comparison {
  std::string output;
  double error = 0.0;      // largest difference, relative to the largest expected magnitude
  double tolerance = 0.0;  // 0: equal
  std::vector<std::byte> bits;
};

/// One run of a case: device memory that lives as long as the run, and a queue.
class Run {
 public:
  explicit Run(device::Device& device) : device_(device) {}

  [[nodiscard]] cuda::Stream stream() { return device_.compute().stream(); }
  [[nodiscard]] device::Device& device() { return device_; }

  template <class T>
  [[nodiscard]] T* upload(const std::vector<T>& values) {
    T* target = allocate<T>(values.size());
    device_.pinned().upload(device_.compute(), target, std::as_bytes(std::span(values)));
    return target;
  }
  [[nodiscard]] cuda::Matrix<float> upload(const HostMatrix& matrix) {
    return {upload(matrix.values), matrix.rows, matrix.columns, matrix.stride};
  }
  /// NaN, or a negative integer, everywhere.
  template <class T>
  [[nodiscard]] T* output(std::int64_t count) {
    constexpr unsigned char kPoison = 0xFF;
    std::vector<T> values(static_cast<std::size_t>(count));
    if (count > 0) std::memset(values.data(), kPoison, values.size() * sizeof(T));
    return upload(values);
  }
  /// With a gap between rows.
  [[nodiscard]] cuda::Matrix<float> output(std::int64_t rows, std::int64_t columns, std::int64_t gap) {
    return {output<float>(rows * (columns + gap)), rows, columns, columns + gap};
  }
  [[nodiscard]] cuda::Matrix<float> output(std::int64_t rows, std::int64_t columns) {
    return output(rows, columns, gap_of(columns));
  }
  template <class T>
  [[nodiscard]] std::vector<T> download(const T* source, std::int64_t count) {
    std::vector<T> values(static_cast<std::size_t>(count));
    if (count > 0) device_.compute().copy(values.data(), source, values.size() * sizeof(T));
    device_.compute().synchronize();
    return values;
  }

  /// Downloads and compares. Integers must be equal.
  template <class T>
  void expect(const std::string& output, const T* actual, const std::vector<double>& expected,
              double tolerance) {
    const auto values = download(actual, std::ssize(expected));
    compare(output, std::as_bytes(std::span(values)), {values.begin(), values.end()}, expected, tolerance);
  }
  /// expected: [rows, columns]; what lies between rows must be untouched.
  void expect(const std::string& output, const cuda::Matrix<float>& actual,
              const std::vector<double>& expected, double tolerance);

  [[nodiscard]] const std::vector<Comparison>& comparisons() const { return comparisons_; }

 private:
  template <class T>
  T* allocate(std::size_t count) {
    memory_.push_back(device_.allocate(count * sizeof(T)));
    return static_cast<T*>(memory_.back().data());
  }
  void compare(const std::string& output, std::span<const std::byte> bits, const std::vector<double>& actual,
               const std::vector<double>& expected, double tolerance);

  device::Device& device_;
  std::vector<device::Memory> memory_;
  std::vector<Comparison> comparisons_;
};

/// A case that needs a library which is not on this machine.
struct NotHere {
  std::string why;
};

struct Case {
  std::string op;
  std::string name;
  std::function<void(Run&)> body;  // may throw NotHere
  bool bits_of_a_library = false;  // not those of the emulation
};

void add_gemm_cases(std::vector<Case>& cases);
void add_attention_cases(std::vector<Case>& cases);
void add_block_cases(std::vector<Case>& cases);
void add_row_cases(std::vector<Case>& cases);
void add_loss_cases(std::vector<Case>& cases);
void add_routing_cases(std::vector<Case>& cases);
void add_slot_cases(std::vector<Case>& cases);
void add_update_cases(std::vector<Case>& cases);

/// Prints time and rate of ops at sizes of a real model.
void print_timings(device::Device& device);

}  // namespace troupe::op_check
