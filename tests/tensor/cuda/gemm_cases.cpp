#include <optional>

#include "base/error.h"
#include "op_check.h"
#include "tensor/cuda/cublaslt.h"
#include "tensor/cuda/gemm.h"
#include "tensor/cuda/verified.h"
#include "tensor/ops/gemm/gemm_ref.h"

namespace troupe::op_check {
namespace {

struct Sizes {
  std::int64_t m, n, k;
};

constexpr double kTolerance = 2e-6;

ops::Transpose transpose(bool yes) { return yes ? ops::Transpose::kYes : ops::Transpose::kNo; }

using Gemm = std::function<void(cuda::Stream, const cuda::GemmArguments&)>;

void check_gemm(Run& run, const Gemm& gemm, const Sizes& sizes, bool transpose_a, bool transpose_b,
                bool accumulate, std::int64_t gap) {
  const auto a = transpose_a ? HostMatrix::random(sizes.k, sizes.m, 1, gap)
                             : HostMatrix::random(sizes.m, sizes.k, 1, gap);
  const auto b = transpose_b ? HostMatrix::random(sizes.n, sizes.k, 2, gap)
                             : HostMatrix::random(sizes.k, sizes.n, 2, gap);
  const auto c = HostMatrix::random(sizes.m, sizes.n, 3, gap);
  const auto device_c = accumulate ? run.upload(c) : run.output(sizes.m, sizes.n, gap);
  gemm(run.stream(), {transpose_a, transpose_b, accumulate, run.upload(a), run.upload(b), device_c});

  const auto a64 = a.f64();
  const auto b64 = b.f64();
  auto c64 = c.f64();
  ops::reference::gemm<double>(
      transpose(transpose_a), transpose(transpose_b), {a64.data(), a.rows, a.columns, a.columns},
      {b64.data(), b.rows, b.columns, b.columns}, {c64.data(), sizes.m, sizes.n, sizes.n},
      accumulate ? ops::Accumulate::kYes : ops::Accumulate::kNo);
  run.expect("c", device_c, c64, kTolerance);
}

/// Rows of experts with none, one, about a tile and more.
std::vector<cuda::Segment> segments_of(const std::vector<std::int64_t>& rows, std::int64_t first_row,
                                       std::int64_t matrix_elements) {
  std::vector<cuda::Segment> segments;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    segments.push_back({first_row, rows[i], static_cast<std::int64_t>(i) * matrix_elements});
    first_row += rows[i];
  }
  return segments;
}

constexpr std::int64_t kRowsBefore = 2;  // of no segment

/// y = x Wᵀ or x W by segment.
void check_grouped(Run& run, const std::vector<std::int64_t>& rows, std::int64_t n, std::int64_t k,
                   bool transpose_weight) {
  std::int64_t total = kRowsBefore;
  for (const auto count : rows) total += count;
  const auto segments = segments_of(rows, kRowsBefore, n * k);
  const auto x = HostMatrix::random(total, k, 4);
  const auto weights = random_values(std::ssize(rows) * n * k, 5);
  const auto y = HostMatrix::random(total, n, 6);
  const auto device_y = run.upload(y);
  cuda::grouped_gemm(run.stream(), {run.upload(segments), std::ssize(segments), total}, transpose_weight,
                     run.upload(x), run.upload(weights), device_y);

  auto y64 = y.f64();
  const auto x64 = x.f64();
  const std::vector<double> weights64(weights.begin(), weights.end());
  for (const auto& segment : segments) {
    const double* weight = weights64.data() + segment.matrix;
    ops::reference::gemm<double>(ops::Transpose::kNo, transpose(transpose_weight),
                                 {x64.data() + segment.first_row * k, segment.rows, k, k},
                                 transpose_weight ? ops::Matrix<const double>{weight, n, k, k}
                                                  : ops::Matrix<const double>{weight, k, n, n},
                                 {y64.data() + segment.first_row * n, segment.rows, n, n},
                                 ops::Accumulate::kNo);
  }
  run.expect("y", device_y, y64, kTolerance);
}

void check_weight_gradient(Run& run, const std::vector<std::int64_t>& rows, std::int64_t n, std::int64_t k) {
  std::int64_t total = 0;
  for (const auto count : rows) total += count;
  const auto segments = segments_of(rows, 0, n * k);
  const auto dy = HostMatrix::random(total, n, 7);
  const auto x = HostMatrix::random(total, k, 8);
  const auto gradients = random_values(std::ssize(rows) * n * k, 9);
  float* device_gradients = run.upload(gradients);
  cuda::grouped_gemm_weight_gradient(run.stream(), {run.upload(segments), std::ssize(segments), total},
                                     run.upload(dy), run.upload(x), device_gradients);

  const auto dy64 = dy.f64();
  const auto x64 = x.f64();
  std::vector<double> expected(gradients.begin(), gradients.end());
  for (const auto& segment : segments) {
    ops::reference::gemm<double>(ops::Transpose::kYes, ops::Transpose::kNo,
                                 {dy64.data() + segment.first_row * n, segment.rows, n, n},
                                 {x64.data() + segment.first_row * k, segment.rows, k, k},
                                 {expected.data() + segment.matrix, n, k, k}, ops::Accumulate::kYes);
  }
  run.expect("gradients", device_gradients, expected, kTolerance);
}

/// The same rows at other places of the same segments give the same bits, row by row.
void check_row_position(Run& run) {
  constexpr std::int64_t kRows = 150;
  constexpr std::int64_t kN = 40;
  constexpr std::int64_t kK = 50;
  const auto x = HostMatrix::random(kRows, kK, 10);
  const auto weight = HostMatrix::random(kN, kK, 11);
  const auto all = run.output(kRows, kN);
  cuda::gemm(run.stream(), {false, true, false, run.upload(x), run.upload(weight), all});
  const auto whole = run.download(all.data, kRows * all.stride);
  constexpr std::int64_t kFirst = 37;
  const auto device_x = run.upload(x);
  const auto rest = run.output(kRows - kFirst, kN);
  cuda::gemm(run.stream(), {false,
                            true,
                            false,
                            {device_x.row(kFirst), kRows - kFirst, kK, device_x.stride},
                            run.upload(weight),
                            rest});
  std::vector<double> expected;
  for (std::int64_t row = kFirst; row < kRows; ++row) {
    for (std::int64_t j = 0; j < kN; ++j)
      expected.push_back(whole[static_cast<std::size_t>(row * all.stride + j)]);
  }
  run.expect("rows", rest, expected, 0.0);
}

}  // namespace

namespace {

/// The library's, loaded when the first case asks.
void cublaslt_gemm(cuda::Stream stream, const cuda::GemmArguments& arguments) {
  static std::optional<cuda::CublasLt> library;
  try {
    if (!library) library.emplace();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kConfig) throw NotHere{error.what()};
    throw;
  }
  library->gemm(stream, arguments);
}

/// Sizes with and without fours, tiles and rows; operands as they are and transposed.
void add_dense_cases(std::vector<Case>& cases, const std::string& op, const Gemm& gemm, bool of_a_library) {
  const std::vector<Sizes> all{{1, 1, 1},     {5, 7, 3}, {130, 140, 33}, {128, 128, 16},
                               {17, 129, 64}, {3, 4, 0}, {0, 5, 7}};
  for (const auto& sizes : all) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        const bool accumulate = (sizes.m + sizes.k) % 2 == 1;
        for (const std::int64_t gap : {std::int64_t{0}, std::int64_t{3}}) {
          cases.push_back(
              {op,
               fmt::format("{}x{}x{}{}{}{} gap {}", sizes.m, sizes.n, sizes.k, transpose_a ? " At" : " A",
                           transpose_b ? "Bt" : "B", accumulate ? " added" : "", gap),
               [=](Run& run) { check_gemm(run, gemm, sizes, transpose_a, transpose_b, accumulate, gap); },
               of_a_library});
        }
      }
    }
  }
  cases.push_back({op, "260x390x515 ABt",
                   [=](Run& run) {
                     check_gemm(run, gemm, {260, 390, 515}, false, true, false, 1);
                   },
                   of_a_library});
}

}  // namespace

void add_gemm_cases(std::vector<Case>& cases) {
  add_dense_cases(
      cases, "gemm", [](auto stream, const auto& arguments) { cuda::gemm(stream, arguments); }, false);
  add_dense_cases(cases, std::string(cuda::kCublasLtGemm), cublaslt_gemm, true);
  cases.push_back({"gemm", "rows elsewhere", check_row_position});
  const std::vector<std::vector<std::int64_t>> groups{{0, 1, 130, 0, 5}, {0, 0}, {128}, {3, 2, 1, 0, 7, 129}};
  for (const auto& rows : groups) {
    const auto name = fmt::format("{} segments, first {}", rows.size(), rows.front());
    cases.push_back(
        {"grouped_gemm", name + " xWt", [=](Run& run) { check_grouped(run, rows, 36, 20, true); }});
    cases.push_back(
        {"grouped_gemm", name + " xW", [=](Run& run) { check_grouped(run, rows, 33, 21, false); }});
    cases.push_back(
        {"grouped_gemm_weight_gradient", name, [=](Run& run) { check_weight_gradient(run, rows, 20, 36); }});
  }
}

}  // namespace troupe::op_check
