#include "tensor/cuda/adamw.h"

#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

inline constexpr std::int64_t kElementsOfBlock = 4 * kRowThreads;

/// Block (elements, range), four elements a thread.
__global__ void __launch_bounds__(kRowThreads) adamw_kernel(AdamWArguments a) {
  const AdamWRange range = a.ranges[blockIdx.y];
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kElementsOfBlock;
  const std::int64_t end = smaller(range.elements, begin + kElementsOfBlock);
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kRowThreads) {
    const std::int64_t at = range.begin + i;
    const float g = a.gradient[at] * a.gradient_scale;
    const float first = fmaf(a.beta1, a.first_moment[at], a.one_minus_beta1 * g);
    const float second = fmaf(a.beta2, a.second_moment[at], a.one_minus_beta2 * g * g);
    a.first_moment[at] = first;
    a.second_moment[at] = second;
    const float deviation = sqrtf(second / a.second_correction);
    const float update = first / a.first_correction / (deviation + a.eps);
    const float value = a.value[at];
    a.value[at] = value - a.lr * fmaf(range.weight_decay, value, update);
  }
}

}  // namespace

void adamw(Stream stream, const AdamWArguments& arguments) {
  launch(stream, grid_of(pieces_of(arguments.most_elements, kElementsOfBlock), arguments.range_count),
         kRowThreads, 0, "adamw", adamw_kernel, arguments);
}

}  // namespace troupe::cuda
