#include "op_check.h"

#include <algorithm>
#include <limits>

namespace troupe::op_check {
namespace {

/// splitmix64 of (stream, index): public domain, by Sebastiano Vigna.
std::uint64_t random_bits(std::uint64_t stream, std::uint64_t index) {
  std::uint64_t z = (stream << 32U) + index + 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

constexpr float kGap = 777.0F;

}  // namespace

std::vector<float> random_values(std::int64_t count, std::uint64_t stream) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(random_bits(stream, i) >> 40U) * 0x1p-23F - 1.0F;
  }
  return values;
}

std::vector<std::int32_t> random_integers(std::int64_t count, std::int32_t bound, std::uint64_t stream) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::int32_t>(random_bits(stream, i) % static_cast<std::uint64_t>(bound));
  }
  return values;
}

HostMatrix HostMatrix::random(std::int64_t rows, std::int64_t columns, std::uint64_t stream,
                              std::int64_t gap) {
  HostMatrix matrix{rows, columns, columns + gap, random_values(rows * (columns + gap), stream)};
  for (std::int64_t row = 0; row < rows; ++row) {
    std::fill_n(matrix.values.begin() + row * matrix.stride + columns, gap, kGap);
  }
  return matrix;
}

std::vector<double> HostMatrix::f64() const {
  std::vector<double> elements;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto begin = values.begin() + row * stride;
    elements.insert(elements.end(), begin, begin + columns);
  }
  return elements;
}

void Run::expect(const std::string& output, const cuda::Matrix<float>& actual,
                 const std::vector<double>& expected, double tolerance) {
  const auto all = download(actual.data, actual.rows * actual.stride);
  std::vector<double> values;
  bool gaps_kept = true;
  for (std::int64_t i = 0; i < std::ssize(all); ++i) {
    const float value = all[static_cast<std::size_t>(i)];
    if (i % actual.stride < actual.columns) {
      values.push_back(value);
    } else {
      gaps_kept = gaps_kept && (value == kGap || std::isnan(value));
    }
  }
  compare(output, std::as_bytes(std::span(all)), values, expected, tolerance);
  if (!gaps_kept) compare(output + "'s gaps", {}, {0.0}, {1.0}, 0.0);
}

void Run::compare(const std::string& output, std::span<const std::byte> bits,
                  const std::vector<double>& actual, const std::vector<double>& expected, double tolerance) {
  double largest = 0.0;
  double difference = actual.size() == expected.size() ? 0.0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    const double here = actual[i] == expected[i] ? 0.0 : std::abs(actual[i] - expected[i]);
    difference = here <= difference ? difference : here;  // a NaN stays
  }
  const double error = difference == 0.0 ? 0.0 : difference / std::max(largest, 1e-30);
  comparisons_.push_back({output, error, tolerance, {bits.begin(), bits.end()}});
}

}  // namespace troupe::op_check
