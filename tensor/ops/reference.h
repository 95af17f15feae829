#pragma once
#include <span>
#include <type_traits>

#include "tensor/ops/matrix.h"

/// Every op as plain loops in the order of its formula, in float to compare the fast kernels with
/// and in double for gradient checks.
namespace troupe::ops::reference {

/// An argument that follows the type T of another one.
template <class T>
using Input = std::type_identity_t<Matrix<const T>>;
template <class T>
using Vector = std::type_identity_t<std::span<const T>>;

}  // namespace troupe::ops::reference
