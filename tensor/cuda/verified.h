#pragma once
#include <algorithm>
#include <array>
#include <string_view>

namespace troupe::cuda {

/// An op that scripts/device_check.sh found right, and of equal bits in repeated runs, on cards of a compute
/// capability (90: 9.0). The script prints the lines; docs/gpu.md says which card and driver it was.
struct VerifiedOp {
  std::string_view op;
  int capability;
};

inline constexpr std::array kVerifiedOps{
    VerifiedOp{"activation_backward", 90},
    VerifiedOp{"activation_forward", 90},
    VerifiedOp{"adamw", 90},
    VerifiedOp{"add_bias", 90},
    VerifiedOp{"add_lanes", 90},
    VerifiedOp{"add_slot_products", 90},
    VerifiedOp{"attention_backward", 90},
    VerifiedOp{"attention_forward", 90},
    VerifiedOp{"bias_gradient", 90},
    VerifiedOp{"combine_rows", 90},
    VerifiedOp{"combine_rows_backward", 90},
    VerifiedOp{"cross_entropy_forward", 90},
    VerifiedOp{"cross_entropy_forward_backward", 90},
    VerifiedOp{"elementwise", 90},
    VerifiedOp{"embedding_backward", 90},
    VerifiedOp{"embedding_forward", 90},
    VerifiedOp{"gather_rows", 90},
    VerifiedOp{"gemm", 90},
    VerifiedOp{"grouped_gemm", 90},
    VerifiedOp{"grouped_gemm_weight_gradient", 90},
    VerifiedOp{"load_balance", 90},
    VerifiedOp{"plan", 90},
    VerifiedOp{"rms_norm_backward", 90},
    VerifiedOp{"rms_norm_forward", 90},
    VerifiedOp{"rope", 90},
    VerifiedOp{"route_backward", 90},
    VerifiedOp{"route_forward", 90},
    VerifiedOp{"scatter_slots_add", 90},
    VerifiedOp{"sum_f64", 90},
    VerifiedOp{"sums_of_squares", 90},
};

/// The product of a library, which is no kernel of this folder.
inline constexpr std::string_view kCublasLtGemm = "cublaslt_gemm";

[[nodiscard]] constexpr bool is_verified(std::string_view op, int capability) {
  return std::ranges::any_of(kVerifiedOps, [&](const VerifiedOp& verified) {
    return verified.op == op && verified.capability == capability;
  });
}

}  // namespace troupe::cuda
