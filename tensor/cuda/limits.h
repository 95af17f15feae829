#pragma once
#include <cstdint>

namespace troupe::cuda {

/// Throws kConfig when a size is larger than a kernel was written for.
///   what: as a user would call it, e.g. "attention's head_dim"
void check_limit(const char* what, std::int64_t value, std::int64_t most);

/// Throws kConfig for an activation by erf, which has no kernel.
[[noreturn]] void refuse_activation(const char* name);

}  // namespace troupe::cuda
